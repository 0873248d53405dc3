"""Models of single series: a history of numbers in, a judgement of each new point out,
in plain Python.
"""
