"""What stands in a street and how it looks."""
