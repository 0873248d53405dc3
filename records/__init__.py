"""The MongoDB documents, one module a collection."""
