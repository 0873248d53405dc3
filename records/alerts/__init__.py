"""Documents of alerts: what people must look at, the rules by which they are told, deliveries."""
