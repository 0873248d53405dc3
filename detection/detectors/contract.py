"""The contract of a detector: it is fitted on rows, then scores rows by how strange they are, and
tells which column makes a row strange.

A detector is one module and one entry of `detection/detectors/catalogue.py`. The module's
`fit(inputs, *, seed, checkpoint, **parameters)` returns what is stored: arrays of numbers by name,
as anything else might execute code when it is opened. `fit` calls `checkpoint(fraction)` at least
once a second, so that a training can be cancelled. The module's `load(fitted)` returns the
`Detector`. The catalogue is importable without numpy, so that a bad request is refused before a run
is written.

A detector that looks at a bar's own row only is a `Detector`. One that looks back on earlier rows
is a `SeriesDetector`: its entry in the catalogue says how far it looks back, so many bars are
loaded for it, and its `fit` takes `SeriesRows` in place of a matrix.
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

# A detector that needs n earlier rows looks for them among LOOK_BACK * n stored bars. So a bar has
# a score even where three in four of the bars before it are set aside, as they stand still.
LOOK_BACK = 4


class Detector(Protocol):
    """A fitted detector, ready to score.

    Inputs have shape (m, d): d columns of its feature set, without NaN.
    """

    def score_samples(self, inputs: Float32, *, below: float | Float64 = ...) -> Float64:
        """Return the score of each row, shape (m,), within the kind's range; lower is stranger.

        Only scores lower than `below`, a number or one for each row (m,), need be right; other rows
        may have any score that is not lower. A row scored alone has the same score as among other
        rows, to the last bit.
        """
        ...

    def attribute(self, inputs: Float32) -> Float64:
        """Return the share of each column in what makes each row strange, shape (m, d); the shares
        of a row sum to 1.
        """
        ...


@runtime_checkable
class CelledDetector(Protocol):
    """A fitted detector that divides its input space into cells, and has a bound for the scores of
    each. Finding a row's cell is much cheaper than scoring the row.
    """

    def find_cells(self, inputs: Float32) -> NDArray[np.int32]:
        """Return the cell of each row, shape (m,)."""
        ...

    def bound_cells(self) -> Float64:
        """Return a lower bound for the scores of the rows in each cell."""
        ...


@runtime_checkable
class VotingDetector(Protocol):
    """A fitted detector with members that vote on each bar."""

    def describe_votes(self, rows: SeriesRows) -> list[list[Vote]]:
        """Return for each wanted row the vote of each member."""
        ...


@runtime_checkable
class SeriesDetector(Protocol):
    """A fitted detector that looks back on the rows before a row.

    Each wanted row has the kind's `warm_up_bars` rows before its block, none of them more than
    `history_bars` places before the wanted row. The score of the row is a function of the rows from
    there to its own, to the last bit.
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
    """Return the score of each wanted row, shape (m,), by a `Detector` or a `SeriesDetector`."""
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
    """A whole number that a detector is fitted with, from `low` to `high`, and what it means."""

    default: int
    low: int
    high: int
    meaning: str

    def read(self, name: str, value: object) -> int:
        """Return the value that was given for the parameter `name`.

        Raises BadInput where it is not a whole number within the bounds.
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
    """One entry of the catalogue.

    Attributes:
        name: the detector's name in documents and over HTTP.
        summary: what it finds strange, in a phrase.
        feature_set: label of its default feature set for daily and longer bars.
        intraday_feature_set: label of its default feature set for shorter bars.
        parameters: the parameters it is fitted with, by name.
        most_product: the largest allowed product of all parameters, as time and memory grow with
            it.
        warm_up_bars: how many rows it needs before a bar, besides the warm-up of its feature set;
            for an ensemble, those of the member that needs most.
        block_bars: the length of its blocks, counted from the stored series' first bar past the
            feature set's warm-up; `warm_up_bars` count back from the first bar of a bar's block.
        only_its_sets: whether it works with its two default feature sets only.
        find_members: returns the members of an ensemble with given parameters; None for others.
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
        """Return how many stored bars before a bar its score may depend on, besides the history of
        its feature set; 0 where it looks at the bar's own row only.
        """
        return LOOK_BACK * self.warm_up_bars

    def choose_feature_set(self, interval: str) -> str:
        """Return the label of its default feature set for an interval."""
        return self.intraday_feature_set if is_intraday(interval) else self.feature_set

    def find_warm_up_bars(self, parameters: Mapping[str, Any]) -> int:
        """Return how many rows it needs before a bar to score it, besides the warm-up of its
        feature set. An ensemble needs those of the member that needs fewest.
        """
        return min(kind.warm_up_bars for kind in self._find_scoring(parameters))

    def find_known(self, rows: SeriesRows, parameters: Mapping[str, Any]) -> Bools:
        """Return which wanted rows it can score, shape (m,): those with enough rows before them,
        none further back than `history_bars`. That limit keeps the result independent of how many
        bars were loaded.
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
        """Raise BadInput where the detector does not work with a feature set."""
        own = self.choose_feature_set(interval)
        if self.only_its_sets and label != own:
            raise BadInput(
                f"{self.name} looks at the columns of {own} and cannot be shown {label}: leave the"
                " feature set out, or choose another detector"
            )

    def describe(self) -> dict[str, Any]:
        """Return the detector's properties as plain values."""
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
        """Return all parameters: the given values, and the defaults of the others.

        Raises BadInput on an unknown name, on a bad value, and on too large a product of them all.
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
        """Fit the detector on the wanted rows, and return the arrays that are stored.

        Raises BadInput where the rows are too few or the detector cannot use them.
        """
        fitted: Fitted = import_module(self.module).fit(
            rows if self.history_bars else rows.get_wanted(),
            seed=seed,
            checkpoint=checkpoint,
            **parameters,
        )
        return fitted

    def load(self, fitted: Fitted) -> Detector | SeriesDetector:
        """Return a detector that is ready to score, made of the arrays that `fit` returned."""
        detector: Detector | SeriesDetector = import_module(self.module).load(fitted)
        return detector
