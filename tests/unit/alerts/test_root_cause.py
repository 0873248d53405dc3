"""Decomposing moves into market, sector and own part, on real event days and on planted shocks."""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from alerts.root_cause.explain import Universe, cluster_residuals, explain_bar
from alerts.root_cause.factors import Medians, Parts, judge, take_apart
from alerts.root_cause.graph import Ancestor, Edge, Graph, find_problems
from alerts.root_cause.kernel import find_others_median
from alerts.root_cause.members import find_carriers
from alerts.root_cause.ranking import tell
from alerts.root_cause.universe import align_returns
from benchmarks.quality import read_bars
from core.arrays import Float64, Int64
from tests.conftest import ROOT

STOCKS = ["AAPL", "FB", "GOOG", "IBM", "MSFT"]


@pytest.fixture(scope="module")
def closes() -> pd.DataFrame:
    return pd.DataFrame({t: bars.set_index("date")["close"] for t, bars in read_bars().items()})


def take_last_apart(
    returns: Float64,
    sectors: Int64,
    index: Float64 | None = None,
    wanted: Sequence[int] | None = None,
) -> Parts:
    return take_apart(Medians(returns, sectors), len(returns) - 1, index, wanted)


@pytest.fixture(scope="module")
def judged(closes: pd.DataFrame) -> pd.DataFrame:
    """The listed event days of stocks: whether each was the index's day, and the scope that was
    found.
    """
    events = pd.read_csv(ROOT / "benchmarks/events.csv", parse_dates=["date"])
    days = set(events[events["ticker"].str.startswith("^")]["date"])
    stocks = events[~events["ticker"].str.startswith("^")].copy()
    moves = np.log(closes).diff()
    moves = moves[moves["^GSPC"].notna()]
    scopes = []
    for ticker, day in zip(stocks["ticker"], stocks["date"], strict=True):
        until = moves[: moves.index.get_loc(day) + 1]
        parts = take_last_apart(
            until[STOCKS].to_numpy(), np.zeros(len(STOCKS), np.int64), until["^GSPC"].to_numpy()
        )
        scopes.append(judge(parts)[STOCKS.index(ticker)])
    return stocks.assign(scope=scopes, is_market=stocks["date"].isin(days))


def test_the_parts_of_a_zero_move_have_no_sign_and_large_moves_are_decomposed() -> None:
    (quiet,) = tell("quiet", -0.0002, 0.0, [])
    assert quiet.startswith("No move of its close: 0.0 %;")
    (own,) = tell("own", np.log(0.9), np.log(100), [])
    assert own == "Its own: +9,900.0 %; -10.0 % in all"


def test_no_day_of_company_news_has_the_scope_market_and_eight_in_ten_have_own(
    judged: pd.DataFrame,
) -> None:
    own = judged[~judged["is_market"]]["scope"]
    assert len(own) >= 55
    assert (own != "market").all()
    assert (own == "own").mean() >= 0.8


def test_no_day_of_the_whole_market_has_the_scope_own(judged: pd.DataFrame) -> None:
    market = judged[judged["is_market"]]["scope"]
    assert len(market) >= 10
    assert (market != "own").all()
    assert (market == "market").mean() >= 0.8


def make_market(seed: int, correlation: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    sectors = np.repeat(np.arange(4), 10)
    index = rng.standard_t(4, 300) * 0.007
    common = rng.standard_t(4, (300, 4)) * 0.01 * correlation
    noise = rng.standard_t(4, (300, 40)) * 0.01
    return index[:, None] * rng.uniform(0.6, 1.4, 40) + common[:, sectors] + noise, sectors, index


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_a_planted_shock_of_a_sector_has_the_scope_sector(correlation: float) -> None:
    found = []
    for seed in range(10):
        returns, sectors, index = make_market(seed, correlation)
        index[-1] = 0.001
        returns[-1, sectors == 2] -= 0.08
        found += [
            scope
            for scope, sector in zip(
                judge(take_last_apart(returns, sectors, index)), sectors, strict=True
            )
            if sector == 2
        ]
    assert found.count("sector") / len(found) >= 0.9
    assert "market" not in found


def test_a_planted_shock_of_one_ticker_is_own_and_of_all_is_market() -> None:
    returns, sectors, index = make_market(3, 0.5)
    returns[-1] = 0.0
    index[-1] = 0.0
    returns[-1, 5] = -0.15
    assert judge(take_last_apart(returns, sectors, index))[5] == "own"
    index[-1] = -0.06
    returns[-1] = -0.06
    scopes = judge(take_last_apart(returns, sectors, index))
    assert set(scopes) <= {"market", "mixed"}
    assert scopes.count("market") >= 36
    # A ticker that moves against such a market still has a market part in its move.
    returns[-1, 5] = 0.08
    assert judge(take_last_apart(returns, sectors, index))[5] == "mixed"
    returns[-1, 5] = -0.06
    # Without an index, the median of the other tickers stands for the market.
    assert judge(take_last_apart(returns, sectors)).count("market") >= 36


@pytest.mark.parametrize("sized", [[10, 10, 10, 10], [5, 5, 5, 25], [37, 3]])
@pytest.mark.parametrize("has_index", [False, True])
def test_days_that_share_bars_are_decomposed_as_each_would_be_alone(
    has_index: bool,  # noqa: FBT001 - a parameter
    sized: list[int],
) -> None:
    returns, _, index = make_market(4, 0.5)
    sectors = np.repeat(np.arange(len(sized)), sized) - (len(sized) == 2)
    returns[np.random.default_rng(4).random(returns.shape) < 0.05] = np.nan
    # Days on which the index moved, alone or with the others.
    index[[150, 280, 290]] = 0.09
    returns[290] = 0.08
    shared, given = Medians(returns, sectors), index if has_index else None
    for row in (280, 150, 299, 290, 100):
        together = take_apart(shared, row, given)
        alone = take_last_apart(
            returns[: row + 1], sectors, None if given is None else given[: row + 1]
        )
        for part, same in zip(astuple(together), astuple(alone), strict=True):
            np.testing.assert_array_equal(part, same)
        assert np.isfinite(together.own).any()


def test_the_parts_add_up_to_the_move() -> None:
    returns, sectors, index = make_market(1, 0.5)
    parts = take_last_apart(returns, sectors, index)
    whole = (
        parts.alpha
        + parts.beta_market * parts.market
        + parts.beta_sector * parts.sector
        + parts.own
    )
    np.testing.assert_allclose(whole, returns[-1], atol=1e-12)
    # The slope by numpy's least squares.
    slope = np.polyfit(index[-251:-1], returns[-251:-1, 7], 1)[0]
    assert parts.beta_market[7] == pytest.approx(0.67 * slope + 0.33)


@pytest.mark.parametrize("n", [2, 3, 4, 9, 10])
def test_the_median_of_the_others_equals_pandas(n: int) -> None:
    rng = np.random.default_rng(n)
    values = rng.normal(size=(n, 50)).round(1)
    values[rng.random((n, 50)) < 0.2] = np.nan
    found = find_others_median(values)
    for i in range(n):
        expected = pd.DataFrame(np.delete(values, i, axis=0)).median().to_numpy()
        expected = np.where(np.isnan(values[i]), np.nan, expected)
        np.testing.assert_allclose(found[i], expected)


def test_too_few_bars_give_no_scope_and_gaps_do_not_affect_other_tickers() -> None:
    returns, sectors, index = make_market(2, 0.5)
    whole = judge(take_last_apart(returns, sectors, index))
    returns[:-30, 0] = np.nan
    returns[-1, 1] = np.nan
    scopes = judge(take_last_apart(returns, sectors, index))
    assert (scopes[0], scopes[1]) == (None, None)
    assert scopes[10:] == whole[10:]
    assert judge(take_last_apart(returns[-20:], sectors, index[-20:])) == [None] * 40
    constant = np.zeros((300, 40))
    assert set(judge(take_last_apart(constant, sectors, np.zeros(300)))) == {"quiet"}
    # A ticker that never moved before moves by itself, by a finite number that a document can hold.
    constant[-1, 3] = 0.1
    parts = take_last_apart(constant, sectors, np.zeros(300))
    assert judge(parts)[3] == "own"
    assert np.isfinite(parts.z_own).all()


def test_the_carriers_of_an_index_are_the_members_without_which_its_move_would_be_usual() -> None:
    rng = np.random.default_rng(1)
    returns = rng.normal(0, 0.01, (300, 8))
    returns[-1] = 0.0
    returns[-1, 3] = -0.2
    assert find_carriers(returns) == ([3], False, False)
    returns[-1, 5] = -0.2
    assert find_carriers(returns) == ([3, 5], True, False)
    returns[-1] = -0.05  # All of them together: no single member carries it.
    assert find_carriers(returns).members == []
    assert find_carriers(np.zeros((300, 8))).members == []


def test_an_index_of_unequal_weights_names_its_heavy_member() -> None:
    """One member is two fifths of the index and falls by 6 %, which in the equal mean of all forty
    is 0.15 %.
    """
    rng = np.random.default_rng(2)
    returns = rng.normal(0, 0.01, (300, 40)) + rng.normal(0, 0.003, (300, 1))
    weights = np.array([0.4, *[0.6 / 39] * 39])
    returns[-1] = 0.0
    returns[-1, 0] = -0.06
    assert find_carriers(returns, returns @ weights) == ([0], False, True)
    assert find_carriers(returns).members == []
    # A move that the members do not add up to gives no weights.
    assert not find_carriers(returns, rng.normal(0, 0.01, 300)).weighted


def test_tickers_without_groups_are_clustered_by_what_the_market_leaves_unexplained() -> None:
    returns, sectors, index = make_market(4, 4.0)
    clusters = cluster_residuals(returns, index)
    assert len({int(c) for c in clusters if c >= 0}) == 4
    for sector in range(4):
        assert len(set(clusters[sectors == sector].tolist())) == 1
    lonely, _, index = make_market(4, 0.0)
    assert (cluster_residuals(lonely, index) == -1).all()


US = ("US", "market")


def test_circles_missing_parents_and_two_sectors_are_reported_and_tolerated() -> None:
    edges = [
        Edge("A", "ticker", "Tech", "sector"),
        Edge("A", "ticker", "Energy", "sector"),
        Edge("Tech", "sector", "Metals", "sector"),
        Edge("Metals", "sector", "Tech", "sector"),
        Edge("Energy", "sector", *US),
        Edge("B", "ticker", "Nowhere", "sector"),
    ]
    problems = " | ".join(find_problems(edges))
    assert "A is in Tech and Energy; Tech counts" in problems
    assert "Metals -> Tech -> Metals is a circle" in problems
    assert "'Nowhere' of B belongs to nothing" in problems
    graph = Graph.build(edges)
    assert graph.find_ancestors("A") == [
        Ancestor("Tech", "sector", 1),
        Ancestor("Energy", "sector", 1),
        Ancestor("Metals", "sector", 2),
        Ancestor("US", "market", 2),
    ]
    assert graph.find_sector("A") == "Tech"
    assert find_problems([Edge("A", "ticker", "Tech", "sector"), Edge("Tech", "sector", *US)]) == []


def test_sentences_name_causes_with_numbers_and_never_symptoms() -> None:
    returns, sectors, index = make_market(5, 0.5)
    index[-1], returns[-1] = -0.06, -0.06
    tickers = [f"T{i}" for i in range(40)]
    names = ["Energy", "Tech", "Food", "Steel"]
    universe = Universe("US", tickers, returns, sectors, names, "^GSPC", index, {"^GSPC": index})
    strange = dict.fromkeys([*tickers[:30], "^GSPC"], -1)
    told = explain_bar(universe, 299, strange, ["T0", "^GSPC"])
    sentence = told["T0"].sentences[0]
    assert sentence.startswith("Inherited from index ^GSPC (2 levels up): -5.8 % there, ")
    assert sentence.endswith("29 of 39 siblings")
    assert "T1" in told["T0"].numbers["impact"]
    assert not any("T1" in each for each in told["T0"].sentences)
    assert told["^GSPC"].scope == "market"


@pytest.mark.parametrize(("market_since", "own_since", "lead"), [(0, 0, 0), (2, 0, 2), (0, 1, -1)])
def test_the_lead_of_who_moved_first_is_in_bars(
    market_since: int, own_since: int, lead: int
) -> None:
    returns, sectors, index = make_market(5, 0.5)
    returns[-4:] *= 0.1
    index[-4:] *= 0.1
    index[-1 - market_since :] = -0.07
    returns[-1 - own_since :, 7] = -0.08
    returns[-1] = -0.07
    (found,) = take_last_apart(returns, sectors, index, [7]).lead_market[[7]]
    assert found == lead
    universe = Universe(
        "US", [f"T{i}" for i in range(40)], returns, sectors, list("ABCD"), "X", index, {}
    )
    (cause,) = (
        cause
        for cause in explain_bar(universe, len(returns) - 1, {"T7": -1}, ["T7"])["T7"].numbers[
            "causes"
        ]
        if cause["type"] == "index"
    )
    others = 0.35 * cause["explained"] + 0.1 / cause["level"] + 0.1 * min(abs(cause["z"]) / 10, 1)
    assert cause["score"] - others == pytest.approx({0: 0.2, 2: 0.2 / 3, -1: 0.0}[lead])


def test_a_ticker_without_a_bar_does_not_count_as_a_sibling() -> None:
    returns, sectors, index = make_market(5, 0.5)
    index[-1], returns[-1] = -0.06, -0.06
    returns[-1, :10] = -0.15
    returns[-1, 5:10] = np.nan  # Half of the first sector is not listed yet.
    returns[-1, 4] = np.nan  # One began on this day: its bar has no return.
    tickers = [f"T{i}" for i in range(40)]
    names = ["Energy", "Tech", "Food", "Steel"]
    universe = Universe("US", tickers, returns, sectors, names, "^GSPC", index, {})
    told = explain_bar(universe, 299, dict.fromkeys(tickers[:5], -1), ["T0"])
    siblings = {cause["type"]: cause["siblings"] for cause in told["T0"].numbers["causes"]}
    assert siblings == {"sector": 4, "index": 34}


def test_wrong_prices_do_not_count_as_returns() -> None:
    """A day with closes a hundred times too high is in no beta of the months after it."""
    rng = np.random.default_rng(3)
    moves = rng.normal(0, 0.01, (200, 1)) + rng.normal(0, 0.01, (200, 8))
    right = 50 * np.exp(np.cumsum(moves, axis=0))
    wrong = right.copy()
    wrong[150, :2] *= 100
    times = [np.arange(200, dtype=np.int64) * 86_400] * 8
    (_, usual), (_, off) = (
        align_returns(times, list(closes.T), longest_pause=7 * 86_400, largest_return=5.0)
        for closes in (right, wrong)
    )
    assert np.isnan(off[[150, 151], :2]).all()
    assert np.isfinite(off[[150, 151], 2:]).all()
    sectors = np.zeros(8, np.int64)
    parts, expected = (take_last_apart(returns, sectors) for returns in (off, usual))
    assert parts.alpha[:2] == pytest.approx(expected.alpha[:2], abs=0.001)
    assert parts.beta_market == pytest.approx(expected.beta_market, abs=0.1)
    assert parts.own[:2] == pytest.approx(expected.own[:2], abs=0.002)
