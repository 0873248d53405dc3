"""What makes the figures in the README: `make bench` for speed,
`make bench-quality` for what is found.
"""
