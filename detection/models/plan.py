"""The plan of a training, without numpy, so that the API can refuse a bad request before a run is
written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from core.errors import BadInput
from core.moments import parse_moment
from core.naming import name_some
from core.words import ThresholdKind
from detection.detectors.catalogue import DEFAULT_DETECTOR, PARAMETERS, get_detector
from detection.detectors.contract import Parameter
from detection.features.feature_sets import DEFAULT_FEATURE_SET, FeatureSet, get_feature_set
from market.intervals import parse_interval
from market.markets import Markets
from records.database import Db
from records.market.documents import SeriesDocument
from records.market.series import find_series
from records.models.champions import ALL_MARKETS

THRESHOLD_BOUNDS: dict[ThresholdKind, tuple[float, float]] = {
    "contamination": (1e-6, 0.5),
    "grade": (1.0, 100.0),
    "score": (-1.0, 0.0),
}
SEED = Parameter(7, 0, 2**32 - 1, "of the sample of rows and of what the detector draws")
OPTIONS = (
    *THRESHOLD_BOUNDS,
    "seed",
    "detector",
    *PARAMETERS,
    "feature_set",
    "window_start",
    "window_end",
    "promote",
)


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """How the threshold is found: by the share of bars that pass it, by a grade, or as a score."""

    kind: ThresholdKind = "contamination"
    value: float = 0.01

    @classmethod
    def choose(cls, values: Mapping[str, float | None]) -> Self:
        """Return the policy of the only kind that has a value; the default where none has.

        Raises BadInput.
        """
        given = [(kind, values[kind]) for kind in THRESHOLD_BOUNDS if values.get(kind) is not None]
        if len(given) > 1:
            raise BadInput(
                f"the threshold is by one of {', '.join(THRESHOLD_BOUNDS)}; {len(given)} were given"
            )
        for kind, value in given:
            low, high = THRESHOLD_BOUNDS[kind]
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not low <= value <= high
            ):
                raise BadInput(
                    f"{kind} {value!r} cannot be used: give a number from {low:g} to {high:g}"
                )
            return cls(kind, float(value))
        return cls()


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """One training, already validated.

    Attributes:
        market: such as `US`, or `ALL` of them.
        interval: of the bars it learns from.
        tickers: whose bars, in alphabetical order; empty means all of the market.
        feature_set: what the model sees.
        threshold: how the threshold is found.
        seed: of the sample of rows and of what the detector draws.
        detector: which algorithm; its name in the catalogue.
        parameters: what it is fitted with.
        window_start, window_end: aware; the first and last start of a bar to learn from. None: no
        bound.
        promote: make it champion; None: only where the market has none yet.
    """

    market: str
    interval: str = "1d"
    tickers: tuple[str, ...] = ()
    feature_set: FeatureSet = DEFAULT_FEATURE_SET
    threshold: ThresholdPolicy = ThresholdPolicy()
    seed: int = SEED.default
    detector: str = DEFAULT_DETECTOR
    parameters: Mapping[str, int | str] = field(
        default_factory=get_detector(DEFAULT_DETECTOR).get_defaults
    )
    window_start: datetime | None = None
    window_end: datetime | None = None
    promote: bool | None = None

    @classmethod
    def from_options(
        cls,
        market: str,
        *,
        markets: Markets,
        interval: str = "1d",
        tickers: Sequence[str] = (),
        options: Mapping[str, Any],
    ) -> Self:
        """Read a plan from a run's fields; `options` are JSON values by the names in `OPTIONS`,
        where None means unset.

        Raises BadInput on an unknown option, a wrong type, a value out of range, or a ticker of
        another market.
        """
        given = {name: value for name, value in options.items() if value is not None}
        unknown = sorted(given.keys() - set(OPTIONS))
        if unknown:
            raise BadInput(f"no training option {unknown[0]!r}; there are {', '.join(OPTIONS)}")
        code = read_model_market(markets, market)
        if code == ALL_MARKETS and tickers:
            raise BadInput("a model of all markets learns from all of their tickers: name none")
        kind = get_detector(str(given.get("detector", DEFAULT_DETECTOR)))
        fields: dict[str, Any] = {}
        if "promote" in given:
            fields["promote"] = _check_flag(given["promote"])
        start, end = (
            parse_moment(str(given[name]), name) if name in given else None
            for name in ("window_start", "window_end")
        )
        if start and end and start > end:
            raise BadInput(
                f"the window ends ({given['window_end']}) before it starts"
                f" ({given['window_start']})"
            )
        interval = parse_interval(interval)
        feature_set = get_feature_set(
            str(given.get("feature_set", kind.choose_feature_set(interval)))
        )
        kind.check_feature_set(feature_set.label, interval)
        return cls(
            market=code,
            interval=interval,
            tickers=tuple(sorted({markets.complete(t, markets.choose(code)) for t in tickers})),
            feature_set=feature_set,
            threshold=ThresholdPolicy.choose(given),
            seed=SEED.read("seed", given.get("seed", SEED.default)),
            detector=kind.name,
            parameters=kind.read_parameters(
                {name: given[name] for name in PARAMETERS if name in given}
            ),
            window_start=start,
            window_end=end,
            **fields,
        )

    @property
    def warm_up_bars(self) -> int:
        """Return how many bars the model needs before the first one that it scores."""
        return self.feature_set.warm_up_bars + get_detector(self.detector).find_warm_up_bars(
            self.parameters
        )

    def describe_parameters(self) -> dict[str, Any]:
        """Return the parameters that go into the model's record: all that makes it differ from its
        predecessor, besides the data.
        """
        return {
            "detector": self.detector,
            "interval": self.interval,
            **self.parameters,
            "seed": self.seed,
            "threshold": asdict(self.threshold),
        }


def read_model_market(markets: Markets, code: str) -> str:
    """Return the code of a model's market, which may be `ALL`. Raises BadInput on an
    unknown one.
    """
    wanted = code.strip().upper()
    return wanted if wanted == ALL_MARKETS else markets.choose(wanted).code


def find_training_series(database: Db, plan: TrainingPlan) -> list[SeriesDocument]:
    """Return the series to learn from, by ticker.

    Raises BadInput where a named ticker has no bars, or none has.
    """
    market = None if plan.market == ALL_MARKETS else plan.market
    series = find_series(
        database, tickers=plan.tickers or None, market=market, interval=plan.interval
    )
    missing = sorted(set(plan.tickers) - {s["ticker"] for s in series})
    if missing:
        named = name_some(missing, 5)
        of_market = f" of market {market}" if market else ""
        raise BadInput(
            f"no {plan.interval} bars{of_market} of {named} are stored; `flask bars list` shows"
            " what is",
            reason="no_bars",
        )
    if not series:
        raise BadInput(
            f"market {plan.market} has no {plan.interval} bars to learn from; import some first "
            "(`flask bars import FILE`)",
            reason="no_bars",
        )
    return series


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"promote {value!r} cannot be used: give true or false")
    return value
