"""Feature matrix to scores, one file an algorithm."""
