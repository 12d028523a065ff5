"""A package for a task of one's own."""
