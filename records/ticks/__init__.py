"""Documents of trades, depth and funding, and of records that were rejected."""
