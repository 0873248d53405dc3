"""What operations look at: its tests share one service."""
