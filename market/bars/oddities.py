"""What looks odd in all bars of a series, summed up over its buckets as they are written: who asks
how good thousands of series are reads no figures of each bucket. Plain Python.
"""

from collections.abc import Mapping
from itertools import pairwise

from market.bars.splits import is_jump
from records.database import Db
from records.market.documents import FigureFields, OddityFields, QualitySeries
from records.market.series import add_oddities, find_unsummed


def sum_up(figures: Mapping[str, FigureFields], fingerprint: str) -> OddityFields:
    """Return what the figures of a series' buckets, by their spans, come to; the fingerprint is
    that of its bars and splits.
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
    """Return what looks odd in the bars of a series; None where that is of other ones."""
    odd = series.get("oddities")
    return odd if odd and odd.get("fingerprint") == series["fingerprint"] else None


def sum_up_stored(database: Db) -> int:
    """Sum up the figures of series where that was not done, or was of other bars than are stored:
    code of the version before keeps the sums that it finds. Return of how many.
    """
    return add_oddities(
        database,
        {
            series["_id"]: sum_up(series["figures"], series["fingerprint"])
            for series in find_unsummed(database)
        },
    )
