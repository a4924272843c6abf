"""The command line: a file for each group of commands; what they print is in `show`."""
