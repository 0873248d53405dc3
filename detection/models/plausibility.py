"""Checks that a version flags about as many bars as it was asked to; without numpy, as the API uses
it.

A version that flags nothing silences its market, and one that flags far too much buries what
matters. The check counts the version's own training bars below the threshold, by the score
quantiles in its record.
"""

from bisect import bisect_left

from core.errors import Conflict
from core.grades import find_share
from detection.models.plan import ThresholdPolicy
from records.models.documents import ModelDocument, TailFields
from records.models.models import find_tail

MOST_TIMES_ASKED = 3.0
# So few flagged bars are never too many, as a handful more or less tells nothing.
FEWEST_TOO_MANY = 10
# The largest plausible share for a threshold that was given as a score, which asks for no share.
MOST_SHARE_BY_SCORE = 0.1


def check_plausible(record: ModelDocument) -> None:
    """Raise Conflict where a version flags none, or far too many, of its training bars, or of those
    of a market for which it has its own threshold.
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
    """Raise Conflict where a version with this threshold, found by this policy, flags none or far
    too many of its training bars, or of those of a market.

    `advice` says what to do where the threshold is set in place of the one from the training.
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
    """Return what is wrong where `flagged` of `rows` bars pass a threshold found by this policy; ""
    where the number is plausible.
    """
    asked = find_asked_share(policy)
    most = (
        MOST_SHARE_BY_SCORE * rows
        if asked is None
        else max(MOST_TIMES_ASKED * asked * rows, FEWEST_TOO_MANY)
    )
    # Where the policy asks for less than one bar, flagging none is right.
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
    """Return the share of bars that a policy asks for; None for a policy without a share."""
    match policy.kind:
        case "contamination":
            return policy.value
        case "grade":
            return find_share(policy.value)
        case "score":
            return None
