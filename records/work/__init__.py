"""Documents of work: runs, requests, batches, audits, the outbox, watchlists."""
