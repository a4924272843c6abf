"""The test bench's stand-in for an optimizer LLM."""
