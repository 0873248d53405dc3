"""What a run has that is new to the channels of notification rules.

A run may have tens of thousands of alerts and anomalies, and a message lists a few. So they are
read part by part, with the fields by which rules choose; only what a message lists is read whole.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from alerts.choosing import NOTHING, News, asks_for, choose_alerts, get_critical_grade
from alerts.messages import LISTED_ANOMALIES
from records.alerts import raised
from records.alerts.deliveries import LISTED_ALERTS
from records.alerts.documents import AskedAlert, RuleDocument
from records.database import Db
from records.findings.anomalies import NEW, find_asked, find_by_ids
from records.findings.anomaly_queries import find_new
from records.findings.documents import AskedFields
from records.work.documents import RunDocument
from records.work.progress import find_failures
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
    """The ids of what was chosen so far for a rule's message about alerts of at least a grade; an
    anomaly may be in alerts of several watchlists.
    """

    rule: RuleDocument
    grade: float
    anomalies: list[str] = field(default_factory=list)
    alerts: list[str] = field(default_factory=list)

    def add(
        self,
        alerts: Sequence[AskedAlert],
        before: Mapping[str, Sequence[AskedFields]],
        found: Mapping[str, Sequence[AskedFields]],
    ) -> None:
        """Add what the rule asks for of some alerts, and of the anomalies that the run `found` of
        each; leave out alerts of tickers that have none of these.
        """
        for alert in choose_alerts(self.rule, alerts, before, self.grade):
            passed = [a["_id"] for a in found[alert["_id"]] if asks_for(self.rule, a, self.grade)]
            if passed or alert["entity_type"] != "ticker":
                self.anomalies += passed
                self.alerts.append(alert["_id"])


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
        self._news = {rule["_id"]: _Chosen(rule, rule["min_grade"]) for rule in rules}
        self._critical = {
            rule["_id"]: _Chosen(rule, get_critical_grade(rule))
            for rule in rules
            if rule.get("next_channel")
        }
        # The order of anomalies and that of alerts; kept once, however many rules ask for them.
        self._ranks: dict[str, tuple[float, float]] = {}
        self.watchlists: set[str | None] = set()
        for alerts in raised.find_parts_of_run(database, run_id):
            self._add(alerts)

    def load(self, rule: RuleDocument) -> tuple[News, News]:
        """Return what is new to a rule's channel, and what became critical with this run, if the
        rule has another channel for it.
        """
        critical = self._critical.get(rule["_id"])
        return self._load(self._news[rule["_id"]]), self._load(critical) if critical else NOTHING

    def _load(self, chosen: _Chosen) -> News:
        """Return the ids of what was chosen, and the documents of what a message lists."""
        anomaly_ids, alert_ids = self._sort(chosen.anomalies), self._sort(chosen.alerts)
        return build_news(self._database, anomaly_ids, alert_ids)

    def _sort(self, ids: Iterable[str]) -> list[str]:
        return sorted(set(ids), key=lambda each: (self._ranks[each], each))

    def _add(self, alerts: Sequence[AskedAlert]) -> None:
        ids = {each for alert in alerts for each in alert["anomaly_ids"]}
        asked = {each["_id"]: each for each in find_asked(self._database, list(ids))}
        before: dict[str, list[AskedFields]] = {}
        found: dict[str, list[AskedFields]] = {}
        for alert in alerts:
            self.watchlists.add(alert["watchlist"])
            self._ranks[alert["_id"]] = alert["entity_type"] == "ticker", -alert["grade"]
            told = set(alert["anomaly_ids"]).difference(alert.get("untold_ids", ()))
            held = [asked[each] for each in told if each in asked]
            before[alert["_id"]] = [a for a in held if a["detection_run_id"] != self._run_id]
            found[alert["_id"]] = [
                a for a in held if a["detection_run_id"] == self._run_id and a["status"] == NEW
            ]
            self._ranks |= {
                a["_id"]: (-a["grade"], a["anomaly_score"]) for a in found[alert["_id"]]
            }
        for chosen in (*self._news.values(), *self._critical.values()):
            chosen.add(alerts, before, found)


def find_unalerted(database: Db, rule: RuleDocument, run: RunDocument) -> News:
    """Return the anomalies that a run which raises no alerts found first and a rule asks for."""
    found = find_new(
        database,
        run["_id"],
        kind=rule.get("kind"),
        scope=rule.get("scope"),
        min_grade=rule["min_grade"],
        min_confidence=rule.get("min_confidence", 0.0),
        tickers=find_rule_tickers(database, rule, run["interval"]),
        fields=("_id",),
    )
    return build_news(database, [each["_id"] for each in found], ())


def find_failed(database: Db, run: RunDocument) -> set[str]:
    """Return the tickers of a run that failed; where it is not known which did, all of the run."""
    failed = {failure["ticker"] for failure in find_failures(database, run["_id"])}
    named = set(run["tickers"])
    # A file that failed is named by the file, a batch about no single tickers by market or task.
    return failed if failed and failed <= named else failed | named


def concerns_failure(database: Db, rule: RuleDocument, run: RunDocument, failed: Set[str]) -> bool:
    """Whether the failure of a run concerns a rule's watchlist and ticker: the run is no scan of
    another watchlist, and one of their tickers is among those that `failed`.
    """
    tickers = find_rule_tickers(database, rule)
    if tickers is None:
        return True
    if rule["watchlist"] is not None and run["watchlist"] not in {None, rule["watchlist"]}:
        return False
    return not failed.isdisjoint(tickers)


def find_rule_tickers(
    database: Db, rule: RuleDocument, interval: str | None = None
) -> list[str] | None:
    """Return the tickers that a rule is about, of its watchlist only where this is of the interval;
    None where the rule is about all.
    """
    tickers = None if rule.get("ticker") is None else [str(rule.get("ticker"))]
    if rule["watchlist"] is None:
        return tickers
    watchlist = find_watchlist(database, rule["watchlist"])
    if watchlist is None or interval not in {None, watchlist["interval"]}:
        return []
    return [each for each in watchlist["tickers"] if tickers is None or each in tickers]
