"""Recipes shipped with umbel."""
