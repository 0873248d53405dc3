"""Reading the times of bars, and turning them into the label a bar is stored under.

Read are: ISO 8601 with or without zone, `20010917`, `20010917 093000`, dates with slashes, dots or
months by name, `31012024` (day and month in the order that some row of the column settles), a time
of day in a column of its own, seconds, milliseconds, microseconds or nanoseconds since 1970,
Excel's number of a day, and the times of a database's types.

A time without a zone is the exchange's local time, unless a zone is given for all of them. Bars of
a day and longer are labelled by their session's date at 00:00 UTC, those of a week by its Monday: a
time with a zone counts as the date it has on the exchange, but for UTC midnight, which is the date
it says.
"""
