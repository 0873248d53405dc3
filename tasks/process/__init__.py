"""What a worker process is made of: broker, consumer, logs, memory, traces."""
