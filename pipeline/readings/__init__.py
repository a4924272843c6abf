"""How label probabilities are read as verdicts: fitted readings, and their choice."""
