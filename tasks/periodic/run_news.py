"""What a run has that is new to the channels of notification rules.

A run may have tens of thousands of alerts and anomalies, and a message lists a few. So they are
read part by part, with the fields by which rules choose; only what a message lists is read whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from alerts.choosing import News, Told, asks_for, choose_alerts, get_critical_grade
from alerts.messages import LISTED_ANOMALIES
from records.alerts import raised
from records.alerts.deliveries import LISTED_ALERTS
from records.alerts.documents import AskedAlert, RuleDocument
from records.database import Db
from records.findings.anomalies import NEW, find_asked, find_by_ids
from records.findings.anomaly_queries import find_new
from records.findings.documents import AskedFields
from records.work.documents import RunDocument
from records.work.watchlists import find_watchlist

# The fields of an anomaly that stand in messages.
TOLD = (
    "Ticker",
    "Datetime",
    "interval",
    "kind",
    "severity",
    "grade",
    "reasons",
    "scope",
    "root_cause",
)


@dataclass(slots=True)
class _Chosen:
    """What was chosen so far for a message: how strange each anomaly and alert is, by id."""

    anomalies: dict[str, tuple[float, float]] = field(default_factory=dict)
    wide: dict[str, float] = field(default_factory=dict)
    single: dict[str, float] = field(default_factory=dict)

    def add(self, told: Told[AskedAlert], passed: Mapping[str, AskedFields]) -> None:
        """Add alerts with those of their anomalies that `passed`; leave out alerts of tickers
        without any, which the rule does not ask for.
        """
        self.wide |= {alert["_id"]: -alert["grade"] for alert in told.wide}
        for alert in told.single:
            held = [passed[each] for each in alert["anomaly_ids"] if each in passed]
            if held:
                self.single[alert["_id"]] = -alert["grade"]
            self.anomalies |= {a["_id"]: (-a["grade"], a["anomaly_score"]) for a in held}

    def load(self, database: Db) -> News:
        """Return the ids of what was chosen, and the documents of what a message lists."""
        anomaly_ids = sorted(self.anomalies, key=lambda each: (self.anomalies[each], each))
        alert_ids = [
            alert_id
            for grades in (self.wide, self.single)
            for alert_id in sorted(grades, key=lambda each: (grades[each], each))
        ]
        return build_news(database, anomaly_ids, alert_ids)


def build_news(database: Db, anomaly_ids: Sequence[str], alert_ids: Sequence[str]) -> News:
    """Return the contents of a message about these anomalies and alerts, the first of which it
    lists.
    """
    listed = anomaly_ids[:LISTED_ANOMALIES]
    found = {each["_id"]: each for each in find_by_ids(database, listed, TOLD)} if listed else {}
    told = alert_ids[:LISTED_ALERTS]
    return News(
        [found[each] for each in listed if each in found],
        anomaly_ids,
        raised.find_by_ids(database, told) if told else (),
        alert_ids,
    )


class RunNews:
    """What of a run's alerts is new to the channels of some rules, and what became critical."""

    def __init__(self, database: Db, run_id: str, rules: Sequence[RuleDocument]) -> None:
        self._database, self._run_id = database, run_id
        self._chosen = {rule["_id"]: (_Chosen(), _Chosen()) for rule in rules}
        self.watchlists: set[str | None] = set()
        for alerts in raised.find_parts_of_run(database, run_id):
            self._add(alerts, rules)

    def load(self, rule: RuleDocument) -> tuple[News, News]:
        """Return what is new to a rule's channel, and what became critical with this run."""
        news, critical = self._chosen[rule["_id"]]
        return news.load(self._database), critical.load(self._database)

    def _add(self, alerts: Sequence[AskedAlert], rules: Sequence[RuleDocument]) -> None:
        self.watchlists |= {alert["watchlist"] for alert in alerts}
        held = {
            each: alert["_id"]
            for alert in alerts
            if alert["entity_type"] == "ticker"
            for each in alert["anomaly_ids"]
        }
        asked = {each["_id"]: each for each in find_asked(self._database, list(held))}
        before: dict[str, list[AskedFields]] = {}
        for alert in alerts:
            earlier = [asked[each] for each in alert["anomaly_ids"] if each in asked]
            before[alert["_id"]] = [a for a in earlier if a["detection_run_id"] != self._run_id]
        found = [
            each
            for each in asked.values()
            if each["detection_run_id"] == self._run_id and each["status"] == NEW
        ]
        for rule in rules:
            grades = rule["min_grade"], get_critical_grade(rule)
            for chosen, grade in zip(self._chosen[rule["_id"]], grades, strict=True):
                told = choose_alerts(rule, alerts, before, grade)
                passed = {each["_id"]: each for each in found if asks_for(rule, each, grade)}
                chosen.add(told, passed)


def find_unalerted(database: Db, rule: RuleDocument, run: RunDocument) -> News:
    """Return the anomalies that a run which raises no alerts found first and a rule asks for."""
    tickers = None if rule.get("ticker") is None else [str(rule.get("ticker"))]
    if rule["watchlist"] is not None:
        watchlist = find_watchlist(database, rule["watchlist"])
        is_watched = watchlist is not None and watchlist["interval"] == run["interval"]
        listed = watchlist["tickers"] if watchlist and is_watched else []
        tickers = [each for each in listed if tickers is None or each in tickers]
    found = find_new(
        database,
        run["_id"],
        kind=rule.get("kind"),
        scope=rule.get("scope"),
        min_grade=rule["min_grade"],
        min_confidence=rule.get("min_confidence", 0.0),
        tickers=tickers,
        fields=("_id",),
    )
    return build_news(database, [each["_id"] for each in found], ())
