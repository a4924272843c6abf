"""Engines around an engine: the reply store, stop signals, budgets."""
