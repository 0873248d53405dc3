"""What everything stands on: errors, settings, logs, array types, closed vocabularies.

Imports nothing of ours.
"""
