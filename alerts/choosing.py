"""Choosing the alerts of a run that the channel of a notification rule has not been told of.

It is pure: documents in, documents out.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from alerts.market_wide import is_vendors
from records.alerts.documents import AlertDocument, AskedAlert, RuleDocument
from records.findings.documents import AnomalyDocument, AskedFields

# An alert with this grade or more is critical.
CRITICAL_GRADE = 100.0

Alert = TypeVar("Alert", bound=AskedAlert)


class News(NamedTuple):
    """The contents of a message, which has the ids of all of them and the documents of the first.

    Attributes:
        anomalies, anomaly_ids: the strangest first.
        alerts, alert_ids: market-wide alerts and stopped feeds, then the alerts of single tickers,
            the strangest of each first.
    """

    anomalies: Sequence[AnomalyDocument]
    anomaly_ids: Sequence[str]
    alerts: Sequence[AlertDocument]
    alert_ids: Sequence[str]

    @property
    def wide(self) -> list[AlertDocument]:
        """Return the alerts that are not of a single ticker."""
        return [alert for alert in self.alerts if alert["entity_type"] != "ticker"]


NOTHING = News((), (), (), ())

Before = Mapping[str, Sequence[AskedFields]]
"""The anomalies that each alert of a ticker held before a run added to it."""


def get_critical_grade(rule: RuleDocument) -> float:
    """Return the grade from which on an alert is critical and passes a rule."""
    return max(CRITICAL_GRADE, rule["min_grade"])


def choose_alerts(
    rule: RuleDocument, alerts: Sequence[Alert], before: Before, grade: float
) -> list[Alert]:
    """Return those of the alerts that a run raised or extended that a rule asks for and that had
    nothing of this grade before.

    With the rule's least grade these are what its channel was not told of: an alert that has an
    earlier bar of which the channel was told is not new, nor is a ticker's alert within a
    market-wide bar. With the critical grade they are those that became critical with this run.
    """
    return [
        alert
        for alert in alerts
        if alert["parent_id"] is None and _reaches(rule, alert, before, grade)
    ]


def asks_for(rule: RuleDocument, anomaly: AskedFields, grade: float) -> bool:
    """Whether a rule asks for an anomaly, if it has at least this grade."""
    least = rule.get("min_confidence", 0.0)
    return (
        anomaly["grade"] >= grade
        and rule.get("kind") in {None, anomaly["kind"]}
        and rule.get("scope") in {None, anomaly.get("scope")}
        and (not least or anomaly.get("confidence", 0.0) >= least)
    )


def _reaches(rule: RuleDocument, alert: AskedAlert, before: Before, grade: float) -> bool:
    """Whether a rule asks for an alert and the alert had nothing of this grade before its last run;
    for a ticker's alert, no such anomaly that the rule asks for.
    """
    kind = "fault" if is_vendors(alert) else "event"
    is_asked_for = (
        rule["watchlist"] in {None, alert["watchlist"]}
        and rule.get("scope") in {None, alert["scope"]}
        and rule.get("ticker") in {None, alert["entity_id"]}
        and (alert["entity_type"] != "market" or rule.get("kind") in {None, kind})
        # Nobody need look at an alert that is muted or that has lost all its anomalies.
        and alert["state"] != "resolved"
    )
    if not (is_asked_for and grade <= alert["grade"]):
        return False
    if alert["entity_type"] != "ticker":
        return alert["grade_before"] < grade
    return not any(asks_for(rule, each, grade) for each in before.get(alert["_id"], ()))
