"""Exports: what is stored, as tables for other programs."""
