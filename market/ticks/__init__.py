"""Checks trades, depth and funding, sums trades to candles, writes them for other programs."""
