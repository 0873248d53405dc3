"""Messages about models: a champion has drifted, or what became of its challenger."""

from datetime import datetime
from typing import cast

from alerts.messages import find_due
from records.alerts import deliveries
from records.alerts.documents import DeliveryDocument, RuleDocument
from records.alerts.notification_rules import find_rules
from records.database import Db
from records.market.series import find_markets
from records.models.champions import ALL_MARKETS
from records.work.documents import EventDocument, ModelNews
from tasks.periodic.run_news import find_rule_tickers


def plan_model_news(database: Db, event: EventDocument, now: datetime) -> list[DeliveryDocument]:
    """Return a message for each rule that asks for failures and whose tickers the models score."""
    news = cast("ModelNews", event["payload"])
    return [
        deliveries.build_delivery(
            f"{event['_id']}:{rule['_id']}",
            rule,
            run_id=event["run_id"],
            title=news["title"],
            body=news["body"],
            kind="model",
            due_at=find_due(rule, now),
            now=now,
        )
        for rule in find_rules(database, enabled=True)
        if rule["failures"] and _concerns(database, rule, news)
    ]


def _concerns(database: Db, rule: RuleDocument, news: ModelNews) -> bool:
    """Whether the models score bars of a rule's watchlist, at its interval, and ticker."""
    market, interval = news.get("market"), news.get("interval")
    tickers = find_rule_tickers(database, rule, interval)
    if tickers is None or interval is None:  # Events of earlier versions name no interval.
        return True
    markets = find_markets(database, [(ticker, interval) for ticker in tickers])
    return bool(markets) if market == ALL_MARKETS else market in markets
