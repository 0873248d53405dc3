"""Documents of analytics: snapshots of series and markets, the overview, sets of tickers."""
