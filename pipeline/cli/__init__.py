"""The command line: one command per function, printing in the `show_*` files."""
