"""Bars to features: what is documented of a bar, and what a model sees of it."""
