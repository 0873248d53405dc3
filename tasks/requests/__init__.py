"""The API and the command line ask for runs through these functions."""
