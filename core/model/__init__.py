"""One backbone and many heads."""
