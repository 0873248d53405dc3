"""Scores to threshold, grade, severity and words."""
