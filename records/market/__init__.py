"""Documents of what came in: series, revisions, rejected rows, session overrides, uploads."""
