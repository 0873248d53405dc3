"""Documents of markets and imports: series, revisions, rejected rows, sessions, uploads."""
