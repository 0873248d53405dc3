"""The one path every detection takes."""
