"""How `train_meaning.py` teaches the micro judge what prompts mean."""
