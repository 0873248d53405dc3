"""The substance: bars in, anomalies out. Knows nothing of Flask or Celery."""
