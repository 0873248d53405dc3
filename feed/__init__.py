"""The feed: streams of market data in, documents and runs out, each effect once."""
