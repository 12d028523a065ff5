"""The classification head and its loss."""
