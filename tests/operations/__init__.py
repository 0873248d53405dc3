"""What operators look at: Flower, logs, metrics, alerts. All tests share one service."""
