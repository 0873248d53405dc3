"""No text makes this service slow: the time of its filters and parsers grows linearly with the
text.
"""

from collections.abc import Callable

import pytest

from alerts import channels
from alerts.messages import parse_clock, parse_zone
from api.http.paging import decode_cursor
from api.http.server import BODY, KEY, PROBES
from core.errors import BadInput
from core.logs import _hide_credentials, _shorten
from detection.models.plan import TrainingPlan
from detection.models.versions import ModelVersion
from market.intervals import parse_interval, parse_period
from market.sessions.schedules import parse_schedule
from market.tickers import normalize_ticker
from tasks.process.logs import describe_subject
from tasks.process.messages import find_fault
from tests.attack.growth import MOST_GROWTH, PIECES, measure_growth


def plan(text: str) -> object:
    return TrainingPlan.from_options("US", options={"window_start": text, "feature_set": text})


WORK: dict[str, Callable[[str], object]] = {
    "a log line": lambda text: _hide_credentials(None, "info", text),
    "a log value": lambda text: _shorten(None, "info", {"event": text}),
    "an error": lambda text: BadInput(f"{text!r} is nothing").message,
    "why a channel failed": lambda text: channels._find_problem(
        f"{channels.LINE_START}WARNING {text}"
    ),
    "a cause": lambda text: channels._find_problem(f"{channels.LINE_START}DEBUG {text}"),
    "secrets in a text": lambda text: channels._hide_words(
        text, "json://someone:secret@example.com/token"
    ),
    "a channel": lambda text: channels.check_channel(f"json://{text}", allow_private=False),
    "a channel's options": lambda text: channels.check_channel(
        f"jsons://a.example/?{text}", allow_private=False
    ),
    "a ticker": normalize_ticker,
    "an interval": parse_interval,
    "a period": parse_period,
    "a schedule": parse_schedule,
    "a clock": parse_clock,
    "a zone": parse_zone,
    "a model version": ModelVersion.parse,
    "training options": plan,
    "a cursor": lambda text: decode_cursor(text, (str,)),
    "a subject": describe_subject,
    "a message": lambda text: find_fault(text.encode()),
    "a key in headers": lambda text: KEY.search(text.encode()),
    "a body in headers": lambda text: BODY.search(text.encode()),
    "a probe": lambda text: PROBES.match(text.encode()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORK)
def test_time_grows_no_faster_than_the_text(name: str) -> None:
    for piece in PIECES:
        for tail in ("", "!", "\n", "x@y"):
            growth = measure_growth(WORK[name], piece, tail)
            if growth > MOST_GROWTH:  # The machine may have been busy at that moment.
                growth = min(growth, measure_growth(WORK[name], piece, tail))
            assert growth <= MOST_GROWTH, (
                f"{name}: {piece!r}... takes {growth:.0f} times as long at 8 times the length"
            )


def test_the_measurement_recognises_quadratic_work() -> None:
    def quadratic(text: str) -> int:
        return sum(text.count("b", start) for start in range(0, len(text), 4))

    assert measure_growth(quadratic, "a") > MOST_GROWTH


def test_users_and_passwords_are_still_hidden() -> None:
    hidden = _hide_credentials(
        None, "info", "see redis://:pa/ss@h:1/0, mongodb://u:p@w@h/ and 'http://a.example/x@y'"
    )
    assert hidden == "see redis://***@h:1/0, mongodb://***@h/ and 'http://***@y'"
    assert (
        _hide_credentials(None, "info", "mail me@example.com or http://a.example/")
        == "mail me@example.com or http://a.example/"
    )
