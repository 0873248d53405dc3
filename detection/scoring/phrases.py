"""Why a bar is strange, in words: a phrase for each model column with a large attribution."""

from collections.abc import Callable, Mapping

from detection.features.feature_sets import EVENT_COLUMN
from detection.features.kernel import VOLUME_WEIGHT, WICK_WEIGHT
from detection.features.market_move import MARKET_WEIGHT

# A column with a smaller share of the attribution gets no phrase, and no more than MOST_REASONS are
# given, as nobody reads more.
LEAST_SHARE = 0.1
MOST_REASONS = 3
# A close further than so many standard deviations from its mean is outside the Bollinger bands.
BAND_SIGMA = 2.0
# A smaller ratio would read as "0.0 times".
NOTHING = 0.05

Values = Mapping[str, float]
Phrase = Callable[[Values, Values, float], str]
# For columns measured by another yardstick than the measures: the factor that converts a measure
# into the column's yardsticks.
UNITS: dict[str, Callable[[Values], float]] = {
    "departure_slow": lambda measures: measures["unrest"],
    EVENT_COLUMN: lambda measures: measures["steady_unrest"],
    "clock_span_fast": lambda measures: 1.0 / measures["clock_unrest"],
}


def build_reasons(
    documented: Values, measures: Values, attribution: Values, close: float
) -> list[str]:
    """Return reasons in words, that of the largest share first, none twice; never empty.

    `documented` has the 14 features, `measures` how far the bar is from the ticker's usual
    (`detection.features.kernel.MEASURES`), `attribution` the share of each model column.
    """
    told = [column for column, share in attribution.items() if share >= LEAST_SHARE]
    told.sort(key=attribution.__getitem__, reverse=True)
    told = told or [max(attribution, key=attribution.__getitem__)]
    phrases = [PHRASES[column](documented, measures, close) for column in told]
    # Phrases that differ after the comma only tell the same move; the one of the largest share
    # stays.
    by_move = {phrase.partition(",")[0]: phrase for phrase in reversed(phrases)}
    reasons = list(reversed(by_move.values()))[:MOST_REASONS]
    if abs(documented["zscore_20"]) > BAND_SIGMA and "zscore_20" not in told:
        reasons.append(
            "close above the upper band"
            if documented["zscore_20"] > 0
            else "close below the lower band"
        )
    return reasons


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:.0f} times"


def _percent(share: float) -> str:
    percent = abs(share) * 100
    if 0.0 < percent < 0.005:
        return "less than 0.01 %"
    return f"{percent:.1f} %" if percent == 0.0 or percent >= NOTHING else f"{percent:.2f} %"


def _return(documented: Values, measures: Values, _: float) -> str:
    moved, ratio = documented["return_1"], abs(measures["return"])
    if not moved:
        return "close unchanged"
    if ratio < NOTHING:
        return "close hardly changed"
    return f"{'rose' if moved > 0 else 'fell'} {_percent(moved)}, {_times(ratio)} its usual range"


def _gap(_: Values, measures: Values, __: float) -> str:
    gap = measures["gap"]
    if abs(gap) < NOTHING:
        return "opened at the last close" if not gap else "opened next to the last close"
    side = "above" if gap > 0 else "below"
    return f"opened {side} the last close by {_times(abs(gap))} its usual range"


def weigh_parts(column: str, measures: Values) -> dict[Phrase, float]:
    """Return the parts of a departure, weighted as in the kernel, by the phrase that names each."""
    unit = UNITS[column](measures) if column in UNITS else 1.0
    parts: dict[Phrase, float] = {
        _range: unit * measures["range"],
        _wick: WICK_WEIGHT * unit * measures["wick"],
        _volume: VOLUME_WEIGHT * measures["volume"],
    }
    if column == EVENT_COLUMN:
        parts[_market] = MARKET_WEIGHT * measures.get("market_fast", 0.0)
    return parts


def _departure(column: str) -> Phrase:
    """Return a phrase for the largest part of a departure."""

    def departure(documented: Values, measures: Values, close: float) -> str:
        parts = weigh_parts(column, measures)
        return max(parts, key=parts.__getitem__)(documented, measures, close)

    return departure


def _market(_: Values, measures: Values, __: float) -> str:
    went = "rose" if measures["market_move"] > 0 else "fell"
    moved = f"the market {went} {_percent(measures['market_move'])}"
    return f"{moved}, {_times(measures['market_fast'])} its usual lately"


def _range(_: Values, measures: Values, __: float) -> str:
    if measures["range"] < NOTHING:
        return "hardly any range"
    return f"range {_times(measures['range'])} its usual"


def _wick(documented: Values, measures: Values, _: float) -> str:
    if measures["wick"] < NOTHING:
        return "hardly any wick"
    side = "upper" if documented["upper_wick"] >= documented["lower_wick"] else "lower"
    return f"{side} wick {_times(measures['wick'])} its usual range"


def _volume(_: Values, measures: Values, __: float) -> str:
    if measures["volume"] < NOTHING:
        return "hardly any volume" if measures["volume"] else "no volume"
    return f"volume {_times(measures['volume'])} its usual"


def _moved(bars: int) -> Phrase:
    def phrase(documented: Values, _: Values, __: float) -> str:
        moved = documented[f"return_{bars}"]
        if not moved:
            return f"close as {bars} bars before"
        return f"{'up' if moved >= 0 else 'down'} {_percent(moved)} in {bars} bars"

    return phrase


def _zscore(documented: Values, _: Values, __: float) -> str:
    side = "above" if documented["zscore_20"] >= 0 else "below"
    return f"close {abs(documented['zscore_20']):.1f} deviations {side} its mean of 20 bars"


def _share_of_close(name: str, words: str) -> Phrase:
    return lambda documented, _, close: f"{words} {_percent(documented[name] / close)} of the close"


def _vwap(documented: Values, _: Values, close: float) -> str:
    side = "above" if close >= documented["VWAP"] else "below"
    return f"close {_percent(close / documented['VWAP'] - 1.0)} {side} the volume-weighted price"


def _trend(name: str, words: str) -> Phrase:
    return lambda documented, _, close: (
        f"{words} {documented[name] / close * 100:+.1f} % of the close"
    )


def _at_its_time(phrase: Phrase) -> Phrase:
    """Return a phrase that measures by what is usual at the bar's time of day."""

    def at_its_time(documented: Values, measures: Values, close: float) -> str:
        by_clock = {
            name: measures[f"clock_{name}"] for name in ("return", "range", "wick", "volume")
        }
        words = phrase(documented, {**measures, **by_clock}, close)
        return f"{words} at this time of day" if "usual" in words else words

    return at_its_time


PHRASES: dict[str, Phrase] = {
    "clock_return_fast": _at_its_time(_return),
    "clock_return_slow": _at_its_time(_return),
    "clock_span_fast": _at_its_time(_departure("clock_span_fast")),
    "clock_span_slow": _at_its_time(_departure("clock_span_slow")),
    "return_percent": _return,
    "return_fast": _return,
    "return_slow": _return,
    "gap_fast": _gap,
    "departure_fast": _departure("departure_fast"),
    "departure_slow": _departure("departure_slow"),
    EVENT_COLUMN: _departure(EVENT_COLUMN),
    "return_1_atr": _return,
    "return_3_atr": _moved(3),
    "return_6_atr": _moved(6),
    "zscore_20": _zscore,
    "ATR_14_atr": _share_of_close("ATR_14", "average range"),
    "bb_width_atr": _share_of_close("bb_width", "Bollinger bands"),
    "RSI": lambda documented, _, __: f"RSI {documented['RSI']:.0f}",
    "MACD_atr": _trend("MACD", "MACD"),
    "MACD_hist_atr": _trend("MACD_hist", "MACD histogram"),
    "VWAP_atr": _vwap,
    "body_atr": _share_of_close("body", "body"),
    "upper_wick_atr": _share_of_close("upper_wick", "upper wick"),
    "lower_wick_atr": _share_of_close("lower_wick", "lower wick"),
    "wick_ratio": lambda documented, _, __: f"wicks {_times(documented['wick_ratio'])} the body",
}
