"""Checkpoints: directories that are whole or absent, of tensors and JSON."""
