"""Ensemble: several detectors vote with grades; a bar is strange where most weight finds it rare.

Each member is fitted on the columns that it looks at. Its vote is a grade from 0 to 100: how rare
its score is among the training bars, which is the same scale for all members. The ensemble's vote
is E = sum w g / sum w over the members that could score the bar, and its score is -E / 100. A model
of an ensemble has its own grade table, made from these scores, so that grade 75 still means one bar
in a thousand. It fails where members with most of the weight share a blind spot, and where only one
member finds a bar strange. It costs less than its members together, as the slow members score few
bars. Source: the combination of detectors on one scale, as in Kriegel, Kroeger, Schubert and Zimek,
Interpreting and unifying outlier scores (2011).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.arrays import Bools, Float64
from core.errors import BadInput
from core.grades import HIGHEST_GRADE
from detection.detectors.contract import (
    CelledDetector,
    Detector,
    DetectorKind,
    SeriesDetector,
    attribute_rows,
    score_rows,
)
from detection.detectors.rows import SeriesRows
from detection.detectors.weights import (
    MEMBERS,
    NAMED_WEIGHTS,
    SLOW_MEMBERS,
    Vote,
    find_weights,
)
from detection.scoring.grades import GradeTable

# Column 0 of the ensemble's feature sets is the return; the others are the forest's columns. The
# key is whether a member looks at returns.
COLUMNS = {True: slice(0, 1), False: slice(1, None)}
OF_RETURNS = ("zscore", "mad", "moving_average")
# Bounds are widened by this share, so that rounding excludes no row.
ROUNDING = 1e-9
# Bounds of grades are widened by so many points, for the same reason.
LEEWAY = 1e-6
MISSING = "/missing"
FEWEST_ROWS = 100
SCORED_ROWS = 5_000
# About what a row costs each member, in units of the cheapest. Members vote in the order of weight
# per cost.
COSTS = {
    "isolation_forest": 10.0,
    "half_space_trees": 3.0,
    "pca_window": 3.0,
    "lstm": 200.0,
    "zscore": 1.0,
    "mad": 50.0,
    "moving_average": 1.0,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member, ready to vote. Where it could not be fitted, `detector` is None and `missing` is
    the reason.

    Attributes:
        scores, grades: shape (q,) ascending and (q + 1,); a score's grade is the one at the
            position where the score would be sorted in.
        bounds: shape (101,), for each whole grade the score below which a row has at least that
            grade.
        cells: for a `CelledDetector`, the highest grade that a row in each cell can have.
    """

    kind: DetectorKind
    weight: float
    missing: str | None = None
    detector: Detector | SeriesDetector | None = None
    scores: Float64 = field(default_factory=lambda: np.empty(0))
    grades: Float64 = field(default_factory=lambda: np.zeros(1))
    bounds: Float64 = field(default_factory=lambda: np.zeros(1))
    cells: Float64 = field(default_factory=lambda: np.empty(0))

    @property
    def columns(self) -> slice:
        """Return which of the ensemble's columns the member looks at."""
        return COLUMNS[self.kind.name in OF_RETURNS]

    def bound(self, grades: Float64) -> Float64:
        """Return for each of `grades` a score; every row with at least that grade is below it."""
        found: Float64 = self.bounds[np.clip(grades, 0.0, HIGHEST_GRADE).astype(np.int64)]
        return found

    def grade(self, scores: Float64) -> Float64:
        """Return the grade of each score.

        It is looked up, not computed: logarithms differ between machines in their last bit.
        """
        found: Float64 = self.grades[np.searchsorted(self.scores, scores, side="right")]
        return found


@dataclass(frozen=True, slots=True)
class Ballot:
    """The votes of the members on m rows.

    Attributes:
        scores, grades: shape (members, m); NaN where a member did not score a row.
        weights: shape (members, m); 0 where a member cannot score a row.
        whole: shape (m,), whether all members that can score the row have voted. Where not, E
            cannot reach the vote that was needed.
    """

    scores: Float64
    grades: Float64
    weights: Float64
    whole: Bools

    def count(self) -> Float64:
        """Return the vote E of each whole row; 0 where no member could vote."""
        size = np.count_nonzero(self.whole)
        votes, weights = np.zeros(size), np.zeros(size)
        # Add one member after another, so that the order of additions does not depend on the rows.
        for grade, weight in zip(
            self.grades[:, self.whole], self.weights[:, self.whole], strict=True
        ):
            votes += np.where(weight > 0.0, grade, 0.0) * weight
            weights += weight
        return np.where(weights > 0.0, votes / np.where(weights > 0.0, weights, 1.0), 0.0)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Members that vote."""

    members: Sequence[Member]

    def score_series(self, rows: SeriesRows, *, below: float | Float64 = 0.0) -> Float64:
        """Return the score of each wanted row, shape (m,), in [-1, 0]; lower is stranger.

        Only scores lower than `below` need be right: no further member scores a row once the
        highest votes of the remaining members could not bring its score below `below`.
        """
        ballot = self.vote(rows, needed=-below * HIGHEST_GRADE)
        scores = np.zeros(len(rows.wanted))
        scores[ballot.whole] = 0.0 - ballot.count() / HIGHEST_GRADE
        return scores

    def attribute_series(self, rows: SeriesRows) -> Float64:
        """Return the mean of the members' shares, each weighted by its part in E, shape (m, d)."""
        ballot = self.vote(rows)
        credit = np.zeros((len(rows.wanted), rows.inputs.shape[1]))
        for member, (shown, known), grades, weights in zip(
            self.members, show(self.members, rows), ballot.grades, ballot.weights, strict=True
        ):
            if member.detector is not None:
                part = (weights[known] * grades[known])[:, None]
                credit[known, member.columns] += part * attribute_rows(member.detector, shown)
        totals = _add_columns(credit)
        credit[totals <= 0.0] = 1.0
        shares: Float64 = credit / _add_columns(credit)[:, None]
        return shares

    def describe_votes(self, rows: SeriesRows) -> list[list[Vote]]:
        """Return for each wanted row the vote of each member, or the reason why it has none."""
        ballot = self.vote(rows)
        return [
            [self._describe(number, row, ballot) for number in range(len(self.members))]
            for row in range(len(rows.wanted))
        ]

    def vote(self, rows: SeriesRows, *, needed: float | Float64 = 0.0) -> Ballot:
        """Return the members' votes on the wanted rows that may reach the `needed` vote E.

        Each member scores only the rows that can still reach it, by the votes so far.
        """
        shape = len(self.members), len(rows.wanted)
        whole = np.ones(shape[1], np.bool_)
        ballot = Ballot(np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape), whole)
        shown = show(self.members, rows)
        for member, (_, known), weights in zip(self.members, shown, ballot.weights, strict=True):
            if member.detector is not None:
                weights[:] = known * member.weight
        # `enough` is the weighted sum of grades that a row has to reach, `ceilings` the highest
        # grade that each member can give it, `possible` the highest sum that it can still reach.
        least_votes = ballot.weights.sum(axis=0) * needed * (1.0 - ROUNDING)
        enough = np.where(np.asarray(needed) > 0.0, least_votes, -np.inf)
        ceilings = self._bound_grades(shown, shape[1], may_be_few=bool(np.any(needed)))
        possible = (ballot.weights * ceilings).sum(axis=0)
        whole &= possible >= enough
        worth = [member.weight / COSTS[member.kind.name] for member in self.members]
        for number in np.argsort(np.negative(worth), kind="stable"):
            member, (own, known) = self.members[number], shown[number]
            if member.detector is not None:
                asked = np.flatnonzero(known & whole)
                ceiling, left = ceilings[number, asked], possible[asked] - enough[asked]
                least = ceiling - left / member.weight - LEEWAY
                below = member.bound(least)
                scores = score_rows(member.detector, own.want(rows.wanted[asked]), below=below)
                ballot.scores[number, asked] = scores
                # A row with a higher score has too low a grade for the others to make up for it.
                graded = scores <= below
                whole[asked] = graded
                asked, ceiling = asked[graded], ceiling[graded]
                ballot.grades[number, asked] = grades = member.grade(scores[graded])
                possible[asked] -= member.weight * (ceiling - grades)
                whole &= possible >= enough
        return ballot

    def _bound_grades(
        self, shown: Sequence[tuple[SeriesRows, Bools]], rows: int, *, may_be_few: bool
    ) -> Float64:
        """Return the highest grade that each member can give each row, shape (members, m).

        A `CelledDetector` knows it without scoring the row; for other members it is 100. With
        `may_be_few` False all rows will be scored anyway, and it is 100 for all members.
        """
        grades = np.full((len(self.members), rows), HIGHEST_GRADE)
        for member, (own, known), highest in zip(self.members, shown, grades, strict=True):
            if may_be_few and isinstance(member.detector, CelledDetector):
                highest[known] = member.cells[member.detector.find_cells(own.get_wanted())]
        return grades

    def _describe(self, number: int, row: int, ballot: Ballot) -> Vote:
        member = self.members[number]
        voted = bool(ballot.weights[number, row] > 0.0)
        return {
            "detector": member.kind.name,
            "weight": member.weight,
            "score": float(ballot.scores[number, row]) if voted else None,
            "grade": float(ballot.grades[number, row]) if voted else None,
            "missing": None if voted else member.missing or "not_enough_bars",
        }


def show(members: Sequence[Member], rows: SeriesRows) -> list[tuple[SeriesRows, Bools]]:
    """Return for each member its columns of the wanted rows that it can score, and which wanted
    rows these are (m,).
    """
    halves = {
        of_returns: replace(rows, inputs=np.ascontiguousarray(rows.inputs[:, COLUMNS[of_returns]]))
        for of_returns in {member.kind.name in OF_RETURNS for member in members}
    }
    nobody = np.zeros(len(rows.wanted), np.bool_)
    known = [nobody if one.missing else one.kind.find_known(rows, {}) for one in members]
    return [
        (halves[member.kind.name in OF_RETURNS].want(rows.wanted[own]), own)
        for member, own in zip(members, known, strict=True)
    ]


def fit(
    rows: SeriesRows,
    *,
    seed: int,
    weights: str,
    checkpoint: Callable[[float], None] = lambda _fraction: None,
) -> dict[str, NDArray[Any]]:
    """Return the fitted members, as arrays named `member/array`.

    For a member that cannot be fitted the reason is stored in place of its arrays; so it is for a
    slow member unless `weights` names members. Raises BadInput where no member is left.
    """
    chosen = find_weights(weights)
    fitted: dict[str, NDArray[Any]] = {}
    reasons: list[str] = []
    for number, (name, weight) in enumerate(chosen.items()):

        def tell(fraction: float, number: int = number) -> None:
            checkpoint((number + fraction) / len(chosen))

        tell(0.0)
        fitted[f"{name}/weight"] = np.array(weight)
        member = Member(_get_kind(name), weight)
        if weights in NAMED_WEIGHTS and name in SLOW_MEMBERS:
            fitted[f"{name}{MISSING}"] = _write_word("too_slow")
            continue
        try:
            fitted |= {
                f"{name}/{array}": values
                for array, values in _fit_member(member, rows, seed, tell).items()
            }
        except BadInput as error:
            fitted[f"{name}{MISSING}"] = _write_word(error.reason)
            reasons.append(f"{name}: {error.message}")
    if len(find_missing(fitted)) == len(chosen):
        raise BadInput(f"no member of the ensemble could be fitted; {'; '.join(reasons)}")
    checkpoint(1.0)
    return fitted


def find_missing(fitted: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """Return by name the reason of each member that was not fitted; empty for other detectors."""
    return {
        array.removesuffix(MISSING): values.tobytes().decode()
        for array, values in fitted.items()
        if array.endswith(MISSING)
    }


def _write_word(word: str) -> NDArray[Any]:
    """Return a word as an array of bytes, as an artefact holds only arrays of numbers."""
    return np.frombuffer(word.encode(), np.uint8)


def load(fitted: Mapping[str, NDArray[Any]]) -> Ensemble:
    """Return the members, ready to vote."""
    return Ensemble([_load_member(fitted, name) for name in MEMBERS if f"{name}/weight" in fitted])


def _fit_member(
    member: Member, rows: SeriesRows, seed: int, checkpoint: Callable[[float], None]
) -> dict[str, NDArray[Any]]:
    """Return the stored arrays of a member: what its `fit` returned, and its table of grades.

    Raises BadInput where too few rows have the history that it needs.
    """
    ((shown, _),) = show([member], rows)
    if len(shown.wanted) < FEWEST_ROWS:
        raise BadInput(
            f"{len(shown.wanted)} bars have the {member.kind.warm_up_bars} before them that it"
            f" needs; {FEWEST_ROWS} are needed",
            reason="not_enough_bars",
        )
    fitted = member.kind.fit(
        shown,
        seed=seed,
        parameters=member.kind.get_defaults(),
        checkpoint=lambda fraction: checkpoint(fraction / 2.0),
    )
    detector = member.kind.load(fitted)
    scores = np.empty(len(shown.wanted))
    for start in range(0, len(scores), SCORED_ROWS):
        portion = slice(start, start + SCORED_ROWS)
        scores[portion] = score_rows(detector, shown.want(shown.wanted[portion]))
        checkpoint(0.5 + start / len(scores) / 2.0)
    table = GradeTable.from_scores(scores)
    # The grade below all kept scores, then the grade from each kept score on.
    grades = table.compute(np.concatenate(([-np.inf], table.scores)))
    return {**fitted, "grade_scores": table.scores, "grades": grades}


def _load_member(fitted: Mapping[str, NDArray[Any]], name: str) -> Member:
    own = {
        array.partition("/")[2]: values
        for array, values in fitted.items()
        if array.startswith(f"{name}/")
    }
    member = Member(_get_kind(name), float(own["weight"]))
    if "missing" in own:
        return replace(member, missing=own["missing"].tobytes().decode())
    detector = member.kind.load(own)
    member = replace(
        member,
        detector=detector,
        scores=own["grade_scores"],
        grades=own["grades"],
        bounds=_find_bounds(own["grade_scores"], own["grades"]),
    )
    if isinstance(detector, CelledDetector):
        return replace(member, cells=member.grade(detector.bound_cells()))
    return member


def _find_bounds(scores: Float64, grades: Float64) -> Float64:
    """Return for each whole grade the score below which a row has at least that grade."""
    # Grades fall as scores ascend.
    whole = np.arange(HIGHEST_GRADE + 1.0)
    bounds: Float64 = np.concatenate(([-np.inf], scores, [0.0]))[
        np.searchsorted(-grades, -whole, side="right")
    ]
    return bounds


def _get_kind(name: str) -> DetectorKind:
    # Imported here, as the catalogue imports `weights.py` and names this module.
    from detection.detectors.catalogue import get_detector  # noqa: PLC0415 - as above

    return get_detector(name)


def _add_columns(values: Float64) -> Float64:
    total: Float64 = sum(values.T, np.zeros(len(values)))
    return total
