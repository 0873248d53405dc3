"""Bars as they are stored: the store, writing, merging, splits, coverage and fingerprints."""
