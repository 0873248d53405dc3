"""Trades, depth and funding as they are stored, and the records that were kept aside."""
