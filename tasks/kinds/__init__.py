"""What a batch of each kind of run does."""
