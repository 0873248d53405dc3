"""Documents of who is told: notification rules and deliveries."""
