"""A judge prompt at work: evaluation and judging in bulk."""
