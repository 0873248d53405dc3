"""The benchmarks behind the figures in the README: `make bench` for speed, `make bench-quality` for
what is found.
"""
