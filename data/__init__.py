"""Rows and bytes: tasks, examples, images, splits. Knows no language model."""
