"""From candidates to boxes: suppression and fusion."""
