"""A market's conditions around a bar, in numbers and in words, to explain an alert."""

from collections.abc import Mapping, Sequence
from typing import Any

STRANGE_Z = 2.5
TURBULENT = (
    "bullish_acceleration",
    "bearish_acceleration",
    "breakout_phase",
    "turbulent_illiquidity",
)
TURBULENT_SHARE = 0.4
WEEK_BARS = 5
# The phrases for a turbulent market: at one bar, and at five in a row.
WHEN = {
    "1d": ("on a turbulent day", "in a turbulent week"),
    "1w": ("in a turbulent week", "in five turbulent weeks"),
}
AT_A_BAR = ("on a turbulent bar", "on five turbulent bars in a row")
BROAD = 0.6


def describe_conditions(
    bars: Sequence[Mapping[str, Any]], regime: Mapping[str, Any] | None, interval: str
) -> dict[str, Any]:
    """Return the conditions of a market at its latest bar, `bars[0]`, as an alert stores them.

    `bars` are market snapshots, the newest first; up to five before the first are used. `regime` is
    the series' own. `words` describe in sentences what is unusual, and are empty on an ordinary
    day. Without any bar only the series' own regime is known.
    """
    if not bars:
        return {"regime": regime, "words": []}
    latest = bars[0]
    shares = [share for bar in bars[:WEEK_BARS] if (share := _share_turbulent(bar)) is not None]
    return {
        "time": latest["time"],
        "regime": regime,
        "breadth": latest["breadth"],
        "return": latest["return"],
        "z": latest["z"],
        "regimes": latest["regimes"],
        "turbulent_share": shares[0] if shares else None,
        "words": [
            *_tell_move(latest),
            *_tell_turbulence(shares, interval),
            *_tell_breadth(latest["breadth"]),
        ],
    }


def _share_turbulent(bar: Mapping[str, Any]) -> float | None:
    total = sum(bar["regimes"].values())
    return sum(bar["regimes"].get(name, 0) for name in TURBULENT) / total if total else None


def _tell_move(bar: Mapping[str, Any]) -> list[str]:
    if bar["z"] is None or abs(bar["z"]) < STRANGE_Z:
        return []
    way = "rose" if bar["return"] > 0.0 else "fell"
    return [f"the whole market {way}, {abs(bar['z']):.1f} times its usual move"]


def _tell_turbulence(shares: Sequence[float], interval: str) -> list[str]:
    lively = [share >= TURBULENT_SHARE for share in shares]
    once, always = WHEN.get(interval, AT_A_BAR)
    if len(lively) == WEEK_BARS and all(lively):
        return [f"{always} for the whole market"]
    return [f"{once} for the whole market"] if lively[:1] == [True] else []


def _tell_breadth(breadth: Mapping[str, float | None]) -> list[str]:
    difference = breadth["advance_decline"]
    if difference is None or abs(difference) < BROAD:
        return []
    share = round(50 * (1 + abs(difference)))
    return [f"{share} % of the tickers that moved {'rose' if difference > 0 else 'fell'}"]
