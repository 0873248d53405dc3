"""The dashboard in a real browser. All tests share one demo."""
