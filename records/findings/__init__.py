"""Documents of what detection found: anomalies, watermarks, labels, verifications."""
