"""Metrics of every series and its market: pure functions of arrays, and the catalogue that lists
them.
"""
