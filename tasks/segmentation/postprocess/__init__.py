"""From logits of test views to one label map."""
