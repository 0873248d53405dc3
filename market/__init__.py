"""What is traded, when, and what came in. Knows nothing of detection."""
