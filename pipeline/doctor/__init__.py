"""`blpo doctor`: whether this machine, a model and a run are ready, one check per line."""
