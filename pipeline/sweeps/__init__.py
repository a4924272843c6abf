"""Grids of runs, their tables and plots, and comparisons between runs."""
