"""Trackers of experiments that runs are logged to: MLflow, Weights & Biases."""
