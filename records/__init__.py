"""The MongoDB documents: a module for each collection."""
