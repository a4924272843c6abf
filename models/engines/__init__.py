"""What answers requests: settings, checkpoints, devices, and one file or folder per engine."""
