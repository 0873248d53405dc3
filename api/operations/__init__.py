"""Health, figures and pages."""
