"""What every search shares: steps, budgets, losses, seeds, paired gains, readings."""
