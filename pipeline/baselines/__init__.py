"""The prompt optimizers that BLPO is compared with, one per file."""
