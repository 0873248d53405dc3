"""Metrics of every series and its market: pure functions of arrays, a catalogue that names them."""
