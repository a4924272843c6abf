"""Tiny checkpoints of model families, what is asked of engines on them, and what must come back."""
