"""What models are asked for: judge, verbalizer, prompt optimizer, and what baselines ask."""
