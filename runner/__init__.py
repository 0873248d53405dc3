"""Starts everything for `make up` and `make demo`, and keeps it running."""
