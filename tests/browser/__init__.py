"""The dashboard in a real browser: its tests share one demo."""
