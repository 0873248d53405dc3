"""Faults of every kind: their tests share one service."""
