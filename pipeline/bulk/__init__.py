"""A judge prompt at work: evaluation, judging in bulk, judging in shards."""
