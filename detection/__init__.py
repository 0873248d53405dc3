"""Detection: bars in, anomalies out. It imports neither Flask nor Celery."""
