"""Reads files into tables, in a child process with bounded memory and time; without the
database.
"""
