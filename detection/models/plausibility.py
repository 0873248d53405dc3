"""Whether a version flags about as many bars as it was asked to; numpy-free,
so that the API can ask.

A version that flags nothing silences its market, and one that flags far more than was asked buries
what matters. What counts is how many of its own training bars lie below the threshold, by the score
quantiles in its record.
"""

from bisect import bisect_left

from core.errors import Conflict
from core.grades import find_share
from detection.models.plan import ThresholdPolicy
from records.models.documents import ModelDocument, TailFields
from records.models.models import find_tail

MOST_TIMES_ASKED = 3.0
# Of few bars a handful more or less says nothing.
FEWEST_TOO_MANY = 10
# Where a score was given, nobody said how many bars are to have a lower one.
MOST_SHARE_BY_SCORE = 0.1


def check_plausible(record: ModelDocument) -> None:
    """Raise Conflict where a version flags none of its training bars, or far more than it was asked
    to: of all of them, or of those of a market that it has a threshold for.
    """
    policy = ThresholdPolicy(**record["parameters"]["threshold"])
    check_threshold(record, record["threshold"], policy)
    for market, own in record.get("by_market", {}).items():
        check_threshold(record, own["threshold"], policy, market)


def check_threshold(
    record: ModelDocument,
    threshold: float,
    policy: ThresholdPolicy,
    market: str | None = None,
    *,
    advice: str | None = None,
) -> None:
    """Raise Conflict where a threshold, found by this policy, has a version flag nothing of what it
    learned from, or of that of a market, or far more than asked; `advice` says what to do where it
    is none of a training, but one that is set in its place.
    """
    tail = find_tail(record, market)
    rows, flagged = int(tail["score_quantiles"]["rows"]), count_flagged(tail, threshold)
    problem = find_problem(flagged, rows, policy)
    if not problem:
        return
    of_market = f" of market {market}" if market in record.get("by_market", {}) else ""
    if advice is None:
        market_of = f"--market {record['market']} --interval {record['interval']}"
        train = f"flask models train {market_of} --contamination 0.01"
        advice = f"Ask for a share of the bars, as with `--contamination 0.01`: `{train}`"
    raise Conflict(
        f"with the threshold {threshold:.4f} (by {policy.kind} {policy.value:g}) {record['_id']}"
        f" flags {flagged:,} of the {rows:,} bars{of_market} that its grades are of, {problem}; it"
        f" was not put in use. {advice}",
        reason="implausible_threshold",
        flagged=flagged,
        rows=rows,
    )


def find_problem(flagged: int, rows: int, policy: ThresholdPolicy) -> str:
    """Return what is wrong where so many of so many bars pass a threshold found by this policy;
    nothing where none or far too much is not what came of it.
    """
    asked = find_asked_share(policy)
    most = (
        MOST_SHARE_BY_SCORE * rows
        if asked is None
        else max(MOST_TIMES_ASKED * asked * rows, FEWEST_TOO_MANY)
    )
    # Less than one bar was asked for: that there is none is what was to be expected.
    least = 0 if asked is not None and asked * rows < 1 else 1
    if least <= flagged <= most:
        return ""
    return "far more than was asked" if flagged else "so it would be silent"


def count_flagged(tail: TailFields, threshold: float) -> int:
    """Return how many training bars have a score below a threshold, to 1 %."""
    quantiles = tail["score_quantiles"]
    position = bisect_left(quantiles["scores"], threshold)
    return int(quantiles["ranks"][position - 1]) if position else 0


def find_asked_share(policy: ThresholdPolicy) -> float | None:
    """Return the share of bars that a policy asks for; None where it asks for none."""
    match policy.kind:
        case "contamination":
            return policy.value
        case "grade":
            return find_share(policy.value)
        case "score":
            return None
