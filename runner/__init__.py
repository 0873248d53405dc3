"""Everything `make up` and `make demo` start, and what keeps it running."""
