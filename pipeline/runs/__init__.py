"""One run from configuration to result, several in one process, and what they leave behind."""
