"""Documents of what was found: anomalies, watermarks, verifications."""
