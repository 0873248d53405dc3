"""Asking for runs: what the API and the command line do alike before a run is accepted."""
