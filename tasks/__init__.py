"""Celery: when and how work runs."""
