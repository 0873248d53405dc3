"""Documents of who must look at what, and who is told: alerts, rules and deliveries."""
