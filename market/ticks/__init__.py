"""Trades, depth and funding: checked on entry, added up to candles, written for other programs."""
