"""What a request becomes for a model: layout, label tokens, sampling seeds."""
