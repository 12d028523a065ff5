"""What a command does beyond train, evaluate and predict."""
