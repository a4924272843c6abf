"""Prompt and image to text, text to typed value. Knows no run and no command line."""
