"""Versioned models: training, artefacts, the registry of champions,
and the cache of each process.
"""
