"""The base of all packages: errors, settings, logs, moments, grades, array types, closed
vocabularies, and where the servers' binaries are.

It imports no other package of this project.
"""
