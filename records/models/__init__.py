"""Documents of models: versions, champions, thresholds, evaluations, drift, single series."""
