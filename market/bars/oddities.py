"""Oddities of a series: the sums of its buckets' figures.

They are stored with the series, so that the quality of thousands of series can be read without the
figures of each bucket. Plain Python.
"""

from collections.abc import Mapping
from itertools import pairwise

from market.bars.splits import is_jump
from records.database import Db
from records.market.documents import FigureFields, OddityFields, QualitySeries
from records.market.series import add_oddities, find_unsummed


def sum_up(figures: Mapping[str, FigureFields], fingerprint: str) -> OddityFields:
    """Return the sums of the figures of a series' buckets, given by span. `fingerprint` is that of
    the series' bars and splits.
    """
    buckets = [bucket for _, bucket in sorted(figures.items())]
    jumps = {day for bucket in buckets for day in bucket["jumps"]}
    jumps |= {
        later["first_day"]
        for earlier, later in pairwise(buckets)
        if is_jump(earlier["last_close"], later["first_open"], later["first_close"])
    }
    return {
        "fingerprint": fingerprint,
        "no_volume": sum(bucket["no_volume"] for bucket in buckets),
        "stale_runs": sum(bucket["stale_runs"] for bucket in buckets),
        "jumps": sorted(jumps),
    }


def find_oddities(series: QualitySeries) -> OddityFields | None:
    """Return the oddities of a series; None where they were not computed from its present bars."""
    odd = series.get("oddities")
    return odd if odd and odd.get("fingerprint") == series["fingerprint"] else None


def sum_up_stored(database: Db) -> int:
    """Compute the oddities of series that have none, or have those of other bars; return of how
    many.

    The version before this one changes bars without updating the oddities.
    """
    return add_oddities(
        database,
        {
            series["_id"]: sum_up(series["figures"], series["fingerprint"])
            for series in find_unsummed(database)
        },
    )
