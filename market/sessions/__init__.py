"""Trading days: the exchanges' calendars, exceptions to them, and schedules that follow them."""
