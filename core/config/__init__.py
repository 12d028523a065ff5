"""The recipe: schema, loading, edits, what is redacted."""
