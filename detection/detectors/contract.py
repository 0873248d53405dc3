"""What a detector is: it is fitted on rows, and then says of each row how strange it is,
and which column makes it so.

A detector is one module and one row of `detection/detectors/catalogue.py`. Its `fit(inputs, *,
seed, checkpoint, **parameters)` returns what is stored: arrays of numbers by name, since anything
else could execute when it is opened. Meanwhile it calls `checkpoint(fraction)` at least once a
second, by which a cancellation is heard. Its `load(fitted)` returns the `Detector`. The rows are
known without numpy, so that a request can be refused before a run is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from core.errors import BadInput
from market.intervals import is_intraday

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.arrays import Float32, Float64

    Fitted = Mapping[str, NDArray[Any]]


class Detector(Protocol):
    """A fitted detector, ready to score.

    Inputs have shape (m, d): d columns of its feature set, without NaN.
    """

    def score_samples(self, inputs: Float32, *, below: float = ...) -> Float64:
        """Return the score of each row, shape (m,), within the kind's range; lower is stranger.

        Only scores lower than `below` are wanted: other rows may have any score that is not. One
        row has the score that it has among many, to the last bit.
        """
        ...

    def attribute(self, inputs: Float32) -> Float64:
        """Return the share of each column in what makes each row strange, shape (m, d);
        a row's shares sum to 1.
        """
        ...


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
        feature_set: label of the one it sees where none is asked for, of bars of a day and longer.
        intraday_feature_set: the same of shorter ones.
        parameters: what it is fitted with, by name.
        most_product: what the product of all parameters may be at most, as time and memory grow
            with it.
        warm_up_bars: bars that it needs before a bar, besides those of its feature set.
        score_range: lowest and highest score.
        module: dotted name of the module that has `fit` and `load`; imported at first use.
    """

    name: str
    feature_set: str
    intraday_feature_set: str
    parameters: Mapping[str, Parameter]
    most_product: int
    warm_up_bars: int
    score_range: tuple[float, float]
    module: str

    def choose_feature_set(self, interval: str) -> str:
        """Return the label of the feature set it sees where none is asked for."""
        return self.intraday_feature_set if is_intraday(interval) else self.feature_set

    def get_defaults(self) -> dict[str, int]:
        """Return all parameters at their default."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def read_parameters(self, given: Mapping[str, Any]) -> dict[str, int]:
        """Return all parameters, those not given at their default.

        Raises BadInput on one that cannot be used.
        """
        for name in given.keys() - self.parameters.keys():
            raise BadInput(
                f"{self.name} has no parameter {name!r}; it has"
                f" {', '.join(self.parameters) or '(none)'}"
            )
        values = {
            name: p.read(name, given.get(name, p.default)) for name, p in self.parameters.items()
        }
        found = prod(values.values())
        if found > self.most_product:
            named = " x ".join(f"{name} {value:,}" for name, value in values.items())
            raise BadInput(
                f"{named} is {found:,}, and may be {self.most_product:,} at the most: lower one of"
                " them"
            )
        return values

    def fit(
        self,
        inputs: Float32,
        *,
        seed: int,
        parameters: Mapping[str, int],
        checkpoint: Callable[[float], None] = lambda _fraction: None,
    ) -> Fitted:
        """Return a detector fitted on rows of shape (n, d), as it is stored.

        Raises BadInput where it cannot be.
        """
        fitted: Fitted = import_module(self.module).fit(
            inputs, seed=seed, checkpoint=checkpoint, **parameters
        )
        return fitted

    def load(self, fitted: Fitted) -> Detector:
        """Return what scores, made of what `fit` returned."""
        detector: Detector = import_module(self.module).load(fitted)
        return detector
