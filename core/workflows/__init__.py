"""What a verb does beyond train, evaluate and predict."""
