"""What a plugin implements and exchanges; imports nothing of umbel."""
