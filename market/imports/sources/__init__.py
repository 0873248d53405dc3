"""Sources of bars: each module reads one kind of source."""
