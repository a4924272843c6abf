"""Public datasets as they were downloaded, one file for each, and what they share."""
