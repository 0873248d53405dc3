"""Messages that wait: digests, and critical alerts that nobody acknowledges."""

from datetime import datetime, timedelta
from typing import Any

from alerts.channels import is_webhook
from alerts.choosing import News
from alerts.messages import (
    ESCALATED_AFTER_MINUTES,
    build_digest_line,
    build_digest_title,
    find_digest,
    find_due,
    tell_alert,
)
from records.alerts import deliveries
from records.alerts.documents import DeliveryDocument, RuleDocument


def build_digest(
    event_id: str,
    rule: RuleDocument,
    run_id: str | None,
    news: News,
    public_url: str,
    now: datetime,
) -> DeliveryDocument:
    """Return what an event adds to a rule's next digest."""
    due, total = find_digest(rule, now), len(news.alert_ids)
    return deliveries.build_delivery(
        f"{rule['_id']}:digest:{due:%Y-%m-%dT%H:%M%z}",
        rule,
        run_id=run_id or event_id,
        title=build_digest_title(rule, total),
        body="\n".join(build_digest_line(alert, public_url) for alert in news.alerts),
        anomaly_ids=news.anomaly_ids,
        alerts=[tell_alert(alert, public_url) for alert in news.alerts],
        alerts_total=total,
        kind="digest",
        due_at=due,
        now=now,
    )


def plan_escalation(
    rule: RuleDocument,
    delivery: DeliveryDocument,
    critical: News,
    public_url: str,
    now: datetime,
) -> list[DeliveryDocument]:
    """Return the message to a rule's next channel, which is sent unless somebody acknowledges these
    alerts before; none where there are none, or there is no such channel.
    """
    channel = rule.get("next_channel")
    if not critical.alert_ids or not channel:
        return []
    minutes = rule.get("escalate_after_minutes", ESCALATED_AFTER_MINUTES)
    return [
        {
            **delivery,
            "_id": f"{delivery['_id']}:escalation",
            "kind": "escalation",
            "channel": channel,
            "shown_channel": rule.get("shown_next_channel") or "",
            "secret": rule.get("secret") if is_webhook(channel) else None,
            "title": f"Not acknowledged in {minutes} minutes: {delivery['title']}",
            "anomaly_ids": [],
            "alerts": [tell_alert(alert, public_url) for alert in critical.alerts],
            "alerts_total": len(critical.alert_ids),
            "unless_acknowledged": list(critical.alert_ids[: deliveries.MOST_IDS]),
            "due_at": find_due(rule, now + timedelta(minutes=minutes)),
        }
    ]


def build_text(delivery: DeliveryDocument) -> str:
    """Return a message's text; that of a digest ends with how many alerts it does not list."""
    left = delivery.get("alerts_total", 0) - len(delivery.get("alerts", []))
    if delivery.get("kind") != "digest" or left <= 0:
        return delivery["body"]
    return f"{delivery['body']}\n... and {left} more"


def build_data(delivery: DeliveryDocument) -> dict[str, Any]:
    """Return what a webhook is sent beside title and message."""
    return {
        "id": delivery["_id"],
        "type": delivery.get("kind", "alerts"),
        "rule": delivery["rule"],
        "run_id": delivery["run_id"],
        "link": delivery.get("link"),
        "alerts_total": delivery.get("alerts_total", 0),
        "alerts": delivery.get("alerts", []),
    }
