"""Messages about models: a champion has drifted, or what became of its challenger."""

from datetime import datetime
from typing import cast

from alerts.messages import find_due
from records.alerts import deliveries
from records.alerts.documents import DeliveryDocument
from records.alerts.notification_rules import find_rules
from records.database import Db
from records.work.documents import EventDocument, ModelNews


def plan_model_news(database: Db, event: EventDocument, now: datetime) -> list[DeliveryDocument]:
    """Return a message for each rule that asks for failures."""
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
        if rule["failures"]
    ]
