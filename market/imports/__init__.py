"""Importing bars: sources, columns, times, checks and the report."""
