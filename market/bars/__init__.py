"""Bars in and out: sources, checks, market calendars and the bar store."""
