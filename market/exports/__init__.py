"""Exports: stored data as tables for other programs."""
