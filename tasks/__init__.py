"""Built-in tasks, written as a third party would write them."""
