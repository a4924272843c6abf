"""The page on which annotators label images: `blpo label`."""
