"""Faults for scripts/chaos.py: a server, a run, what is done to them, and what came of it."""
