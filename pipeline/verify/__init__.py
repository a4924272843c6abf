"""`blpo verify`: whether the figures of a finished run are those that its own predictions give."""
