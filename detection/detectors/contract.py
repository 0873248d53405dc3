"""What a detector is: it is fitted on rows, and then says of each row how strange it is,
and which column makes it so.

A detector is one module and one row of `detection/detectors/catalogue.py`. Its `fit(inputs, *,
seed, checkpoint, **parameters)` returns what is stored: arrays of numbers by name, since anything
else could execute when it is opened. Meanwhile it calls `checkpoint(fraction)` at least once a
second, by which a cancellation is heard. Its `load(fitted)` returns the `Detector`. The rows are
known without numpy, so that a request can be refused before a run is written.

A detector that looks at a bar's row alone is a `Detector`. One that looks back on the rows before
it is a `SeriesDetector`: its row of the catalogue says how far, that is what is loaded for it, and
its `fit` is given `SeriesRows` in place of a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from core.errors import BadInput
from detection.detectors.weights import Vote, WeightsParameter
from market.intervals import is_intraday

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.arrays import Bools, Float32, Float64
    from detection.detectors.rows import SeriesRows

    Fitted = Mapping[str, NDArray[Any]]

# Of the bars before a bar three in four may be set aside, as they stand still, and it has a score:
# what a detector looks back on lies within so many times as many stored bars.
LOOK_BACK = 4


class Detector(Protocol):
    """A fitted detector, ready to score.

    Inputs have shape (m, d): d columns of its feature set, without NaN.
    """

    def score_samples(self, inputs: Float32, *, below: float | Float64 = ...) -> Float64:
        """Return the score of each row, shape (m,), within the kind's range; lower is stranger.

        Only scores lower than `below`, which may be another for each row, are wanted: other rows
        may have any score that is not. One row has the score that it has among many, to the last
        bit.
        """
        ...

    def attribute(self, inputs: Float32) -> Float64:
        """Return the share of each column in what makes each row strange, shape (m, d);
        a row's shares sum to 1.
        """
        ...


@runtime_checkable
class CelledDetector(Protocol):
    """A fitted detector that tells from the cell that a row is in, long before it has scored it,
    how strange it can be at the most.
    """

    def find_cells(self, inputs: Float32) -> NDArray[np.int32]:
        """Return the cell of each row, shape (m,)."""
        ...

    def bound_cells(self) -> Float64:
        """Return for each cell a score that no row in it is below."""
        ...


@runtime_checkable
class VotingDetector(Protocol):
    """A fitted detector that has members, each of which says what it thinks of a bar."""

    def describe_votes(self, rows: SeriesRows) -> list[list[Vote]]:
        """Return for each wanted row what each member said of it."""
        ...


@runtime_checkable
class SeriesDetector(Protocol):
    """A fitted detector that looks back on the rows before a row.

    Each wanted row has as many before its block as the kind's `warm_up_bars`, none of them further
    than `history_bars` places before it. Its score is a function of those alone, to the last bit.
    """

    def score_series(self, rows: SeriesRows, *, below: float | Float64 = ...) -> Float64:
        """Return the score of each wanted row, shape (m,); lower is stranger.

        As in `Detector.score_samples`, only scores lower than `below` need be right.
        """
        ...

    def attribute_series(self, rows: SeriesRows) -> Float64:
        """Return the share of each column in what makes each wanted row strange, shape (m, d)."""
        ...


def score_rows(
    detector: Detector | SeriesDetector, rows: SeriesRows, *, below: float | Float64 = 0.0
) -> Float64:
    """Return the score of each wanted row, shape (m,), whichever kind the detector is of."""
    if isinstance(detector, SeriesDetector):
        return detector.score_series(rows, below=below)
    return detector.score_samples(rows.get_wanted(), below=below)


def attribute_rows(detector: Detector | SeriesDetector, rows: SeriesRows) -> Float64:
    """Return the share of each column in what makes each wanted row strange, shape (m, d)."""
    if isinstance(detector, SeriesDetector):
        return detector.attribute_series(rows)
    return detector.attribute(rows.get_wanted())


@dataclass(frozen=True, slots=True)
class Parameter:
    """A whole number that a detector is fitted with, its bounds included, and what it is."""

    default: int
    low: int
    high: int
    meaning: str

    def read(self, name: str, value: object) -> int:
        """Return a value that was given.

        Raises BadInput where it is no whole number within the bounds.
        """
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not self.low <= value <= self.high
        ):
            raise BadInput(
                f"{name} {value!r} cannot be used: give a whole number from {self.low} to"
                f" {self.high}"
            )
        return value


@dataclass(frozen=True, slots=True)
class DetectorKind:
    """One row of the catalogue.

    Attributes:
        name: the word for it in documents and over HTTP.
        summary: what it finds strange, in a phrase.
        feature_set: label of the one it sees where none is asked for, of bars of a day and longer.
        intraday_feature_set: the same of shorter ones.
        parameters: what it is fitted with, by name.
        most_product: what the product of all parameters may be at most, as time and memory grow
            with it.
        warm_up_bars: bars that it needs before a bar, besides those of its feature set; of one with
            members, as many as the one that needs most.
        block_bars: it needs them before the block of so many bars that the bar is in, counted from
            the stored series' first.
        only_its_sets: whether it can be shown its own feature sets only.
        find_members: with given parameters those that vote in it; None where it has none.
        score_range: lowest and highest score.
        module: dotted name of the module that has `fit` and `load`; imported at first use.
    """

    name: str
    summary: str
    feature_set: str
    intraday_feature_set: str
    parameters: Mapping[str, Parameter | WeightsParameter]
    most_product: int
    warm_up_bars: int
    score_range: tuple[float, float]
    module: str
    block_bars: int = 1
    only_its_sets: bool = False
    find_members: Callable[[Mapping[str, Any]], Sequence[DetectorKind]] | None = None

    @property
    def history_bars(self) -> int:
        """Return on how many stored bars before a bar, besides those that its feature set looks
        back on, its score may depend; 0: it looks at a bar's row alone.
        """
        return LOOK_BACK * self.warm_up_bars

    def choose_feature_set(self, interval: str) -> str:
        """Return the label of the feature set it sees where none is asked for."""
        return self.intraday_feature_set if is_intraday(interval) else self.feature_set

    def find_warm_up_bars(self, parameters: Mapping[str, Any]) -> int:
        """Return how many bars it needs before a bar, besides those of its feature set; of one with
        members, some member has to be able to vote.
        """
        return min(kind.warm_up_bars for kind in self._find_scoring(parameters))

    def find_known(self, rows: SeriesRows, parameters: Mapping[str, Any]) -> Bools:
        """Return which wanted rows it can score, shape (m,): those with the rows before them that
        it needs, none further back than `history_bars`, so that how many bars were loaded, and how
        many of them were set aside, tells nothing.
        """
        first, *others = (
            rows.find_known(kind.warm_up_bars, kind.history_bars, kind.block_bars)
            for kind in self._find_scoring(parameters)
        )
        for known in others:
            first |= known
        return first

    def _find_scoring(self, parameters: Mapping[str, Any]) -> Sequence[DetectorKind]:
        return self.find_members(parameters) if self.find_members else (self,)

    def check_feature_set(self, label: str, interval: str) -> None:
        """Raise BadInput where it cannot be shown a feature set."""
        own = self.choose_feature_set(interval)
        if self.only_its_sets and label != own:
            raise BadInput(
                f"{self.name} looks at the columns of {own} and cannot be shown {label}: leave the"
                " feature set out, or choose another detector"
            )

    def describe(self) -> dict[str, Any]:
        """Return what there is to know of it as plain values."""
        return {
            "name": self.name,
            "summary": self.summary,
            "feature_set": self.feature_set,
            "intraday_feature_set": self.intraday_feature_set,
            "only_its_sets": self.only_its_sets,
            "warm_up_bars": self.find_warm_up_bars(self.get_defaults()),
            "history_bars": self.history_bars,
            "parameters": [
                {"name": name, **asdict(parameter)} for name, parameter in self.parameters.items()
            ],
        }

    def get_defaults(self) -> dict[str, int | str]:
        """Return all parameters at their default."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def read_parameters(self, given: Mapping[str, Any]) -> dict[str, int | str]:
        """Return all parameters, those not given at their default.

        Raises BadInput on one that cannot be used.
        """
        for name in given.keys() - self.parameters.keys():
            raise BadInput(
                f"{self.name} has no parameter {name!r}; it has"
                f" {', '.join(self.parameters) or '(none)'}"
            )
        values: dict[str, int | str] = {
            name: p.read(name, given.get(name, p.default)) for name, p in self.parameters.items()
        }
        found = prod(value for value in values.values() if isinstance(value, int))
        if found > self.most_product:
            named = " x ".join(
                f"{name} {value:,}" for name, value in values.items() if isinstance(value, int)
            )
            raise BadInput(
                f"{named} is {found:,}, and may be {self.most_product:,} at the most: lower one of"
                " them"
            )
        return values

    def fit(
        self,
        rows: SeriesRows,
        *,
        seed: int,
        parameters: Mapping[str, int | str],
        checkpoint: Callable[[float], None] = lambda _fraction: None,
    ) -> Fitted:
        """Return a detector fitted on the wanted rows, as it is stored.

        Raises BadInput where it cannot be.
        """
        fitted: Fitted = import_module(self.module).fit(
            rows if self.history_bars else rows.get_wanted(),
            seed=seed,
            checkpoint=checkpoint,
            **parameters,
        )
        return fitted

    def load(self, fitted: Fitted) -> Detector | SeriesDetector:
        """Return what scores, made of what `fit` returned."""
        detector: Detector | SeriesDetector = import_module(self.module).load(fitted)
        return detector
