"""OpenAI-compatible servers, and pools of them."""
