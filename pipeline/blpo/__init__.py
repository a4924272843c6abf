"""Bi-level prompt optimization: Algorithm 1 (`algorithm.py`) and what it is made of."""
