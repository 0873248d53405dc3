"""The reasons for which a row is rejected: stable words, each with its meaning.

A row has the first reason that applies.
"""

REASONS: dict[str, str] = {
    "bad_time": (
        "the time cannot be read, is before 1900, or is one that a change of the clocks skips or"
        " repeats (write it with its offset, or in UTC)"
    ),
    "not_a_number": "a price or the volume is missing, infinite (1e100 and above) or no number",
    "non_positive_price": "a price is zero (below 1e-100) or below it",
    "negative_volume": "the volume is below zero",
    "high_below_low": "the high is below the low",
    "outside_range": "the open or the close is above the high or below the low",
    "not_a_session": "the exchange held no session then",
    "not_closed": "the bar had not closed yet at the time of import",
    "duplicate_time": "an earlier row of the ticker has the same time",
    "off_grid": "the bar does not start a whole number of intervals after the others",
    "overlaps": "the bar begins before the one before it has ended",
    "out_of_order": "the row's time does not ascend with its neighbours'",
}
