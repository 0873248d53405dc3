"""Reads the times of bars, and turns them into the labels under which bars are stored.

These forms are read: ISO 8601 with or without zone, `20010917`, `20010917 093000`, dates with
slashes, dots or names of months, `31012024` (day and month in the order that some row of the column
settles), a time of day in its own column, seconds, milliseconds, microseconds or nanoseconds since
1970, Excel's day numbers, and the typed times of a database.

A time without a zone is the exchange's local time, unless a zone is given for the whole table.
Daily bars are labelled by their session's date at 00:00 UTC, weekly bars by their Monday. For these
a time with a zone counts as its date on the exchange; UTC midnight counts as its date in UTC.
"""
