"""What `preset: plus` puts in place of choices of the paper, one policy per file."""
