"""Datasets from a user's own table or image folder."""
