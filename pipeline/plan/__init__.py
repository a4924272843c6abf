"""What a run will ask for, before it does: `blpo optimize --dry-run`."""
