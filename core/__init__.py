"""What everything stands on: errors, settings, logs, moments, grades, array types,
closed vocabularies, and where the servers' binaries are.

Imports nothing of ours.
"""
