"""The catalogue of detectors, one entry each."""

from collections.abc import Mapping
from typing import Any

from core.errors import BadInput
from detection.detectors.contract import DetectorKind, Parameter
from detection.detectors.weights import (
    DEFAULT_WEIGHTS,
    MEASURED,
    MEMBERS,
    NAMED_WEIGHTS,
    WeightsParameter,
    find_weights,
)

# How many bars before a bar the statistics of returns look back on.
TRAILING_BARS = 60

DETECTORS: dict[str, DetectorKind] = {
    kind.name: kind
    for kind in (
        DetectorKind(
            name="isolation_forest",
            summary="what few random splits cut off from the other bars",
            feature_set="events/6",
            intraday_feature_set="time_of_day/5",
            parameters={
                "trees": Parameter(100, 1, 1_000, "how many trees"),
                # A perfect tree over 16,384 rows has 14 levels; deeper ones would not fit a cache.
                "sample": Parameter(512, 2, 16_384, "rows that each tree is grown from"),
            },
            # A model of such a forest has some 50 MB.
            most_product=1_000_000,
            warm_up_bars=0,
            score_range=(-1.0, 0.0),
            module="detection.detectors.isolation_forest",
        ),
        DetectorKind(
            name="half_space_trees",
            summary="a bar unlike the series' own bars of the last year, by random half-spaces",
            feature_set="events/6",
            intraday_feature_set="time_of_day/5",
            parameters={},
            most_product=1,
            warm_up_bars=250,
            block_bars=250,
            # Its trees halve a space in which no column is negative.
            only_its_sets=True,
            score_range=(-1.0, 0.0),
            module="detection.detectors.half_space_trees",
        ),
        DetectorKind(
            name="pca_window",
            summary="a bar that the shape of its last 20 bars does not explain",
            feature_set="events/6",
            intraday_feature_set="time_of_day/5",
            parameters={},
            most_product=1,
            warm_up_bars=19,
            only_its_sets=True,
            score_range=(-1.0, 0.0),
            module="detection.detectors.pca_window",
        ),
        DetectorKind(
            name="lstm",
            summary="a bar larger than a network of normal windows of 20 bars tells it",
            feature_set="two_yardsticks/5",
            intraday_feature_set="time_of_day/5",
            parameters={
                "windows": Parameter(20_000, 100, 200_000, "windows that it learns from"),
                "epochs": Parameter(10, 1, 500, "how often it goes over them at the most"),
            },
            # Such a training takes some minutes of a processor.
            most_product=10_000_000,
            warm_up_bars=19,
            only_its_sets=True,
            score_range=(-1.0, 0.0),
            module="detection.detectors.lstm",
        ),
        *(
            DetectorKind(
                name=name,
                summary=summary,
                feature_set="returns/3",
                intraday_feature_set="returns/3",
                parameters={},
                most_product=1,
                warm_up_bars=TRAILING_BARS,
                only_its_sets=True,
                score_range=(-1.0, 0.0),
                module=f"detection.detectors.{name}",
            )
            for name, summary in {
                "zscore": "a return some deviations from the mean of the last 60",
                "mad": "a return far from the median of the last 60, in median deviations",
                "moving_average": "a return some usual distances from the average of the last 60",
            }.items()
        ),
    )
}


def _find_members(parameters: Mapping[str, Any]) -> list[DetectorKind]:
    """Return the detectors that vote in an ensemble."""
    return [DETECTORS[name] for name in find_weights(parameters["weights"])]


DETECTORS["ensemble"] = DetectorKind(
    name="ensemble",
    summary="what several detectors find rare, by their weights",
    feature_set="family/7",
    intraday_feature_set="family_by_time/5",
    parameters={
        "weights": WeightsParameter(
            DEFAULT_WEIGHTS,
            (*NAMED_WEIGHTS, MEASURED),
            f"whose votes count how much: {', '.join(NAMED_WEIGHTS)}, {MEASURED} (by labels), or"
            " member=weight, with commas between",
        )
    },
    most_product=1,
    warm_up_bars=max(DETECTORS[name].warm_up_bars for name in MEMBERS),
    only_its_sets=True,
    score_range=(-1.0, 0.0),
    module="detection.detectors.ensemble",
    find_members=_find_members,
)
DEFAULT_DETECTOR = "isolation_forest"
# Parameters of the same name mean the same in all detectors.
PARAMETERS: dict[str, Parameter | WeightsParameter] = {
    name: parameter for kind in DETECTORS.values() for name, parameter in kind.parameters.items()
}


def get_detector(name: str) -> DetectorKind:
    """Return a detector's entry. Raises BadInput, which names the choices."""
    if name not in DETECTORS:
        raise BadInput(
            f"no detector {name[:40]!r}; choose one of {', '.join(DETECTORS)}",
            reason="unknown_detector",
        )
    return DETECTORS[name]
