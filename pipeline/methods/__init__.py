"""The methods by name; a new one is registered here."""
