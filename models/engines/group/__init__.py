"""Several engines that answer as one, each in a process of its own."""
