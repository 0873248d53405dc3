"""The feed: streams of market data come in, documents and runs go out; each message takes effect
once.
"""
