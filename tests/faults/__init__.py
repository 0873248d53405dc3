"""Fault tests: processes are killed and frozen, data is lost. All tests share one service."""
