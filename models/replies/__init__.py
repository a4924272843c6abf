"""The one reader of model text: thought and answer, labels, numbers, prompts."""
