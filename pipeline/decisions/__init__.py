"""What is done with verdicts: acting on those that keep a target, counting labels in a set."""
