"""From points in space and their light to pixels."""
