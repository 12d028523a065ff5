"""Mean average precision."""
