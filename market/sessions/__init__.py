"""Trading days: the exchanges' calendars,
what was announced besides, and schedules made of them.
"""
