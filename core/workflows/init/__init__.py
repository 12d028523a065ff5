"""From folders of data to a recipe."""
