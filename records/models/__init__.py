"""Documents of models: versions, champions, thresholds."""
