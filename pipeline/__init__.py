"""The order of things: Algorithm 1, runs, sweeps, reports, the command line."""
