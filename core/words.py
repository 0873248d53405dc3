"""The closed vocabularies: words that are used in documents, over HTTP and on the command line."""

from typing import Literal

Task = Literal[
    "backfill",
    "incremental",
    "verify",
    "train",
    "evaluate",
    "import",
    "fit_series",
    "analytics",
    "correlation",
    "fetch",
    "export",
    "fill",
    "correct",
]
Trigger = Literal["backfill", "scheduler", "chart_request", "verification", "manual", "feed"]
OpenStatus = Literal["queued", "in_progress"]
EndStatus = Literal["complete", "partial", "failed", "cancelled"]
Status = Literal[OpenStatus, EndStatus]
BatchState = Literal["pending", "leased", "done", "dead", "split", "cancelled"]
Severity = Literal["low", "medium", "high", "critical"]
AnomalyKind = Literal["event", "fault"]
FaultName = Literal["level", "split", "price", "stale", "no_volume", "wick", "volume", "move"]
AnomalyStatus = Literal["new", "superseded", "bars_gone"]
Verdict = Literal["identical", "score_moved", "vanished", "new"]
Cause = Literal["model", "code", "data", "market", "threshold"]
ModelState = Literal["candidate", "champion", "retired"]
ChallengerState = Literal["training", "judging", "judged", "failed"]
GateName = Literal["unseen", "flagged", "steady", "overlap", "events", "faults", "labels", "cost"]
"""What a challenger must pass before it is put in use: see detection/models/gates.py."""
Retrain = Literal["off", "propose", "train", "promote"]
ScopeKind = Literal["market", "ticker", "watchlist"]
ThresholdKind = Literal["contamination", "grade", "score"]
DeliveryState = Literal["pending", "sent", "failed", "not_needed"]
DeliveryKind = Literal["alerts", "failure", "escalation", "digest", "model"]
Digest = Literal["daily", "weekly"]
RevisionKind = Literal["changed", "inserted", "split", "replaced", "deleted", "renamed", "undone"]
GapState = Literal["open", "filling", "partial", "filled", "error", "expected"]
GapReason = Literal["halt", "holiday", "delisted", "before_listing", "source_empty"]
QualityFigure = Literal[
    "lacking_share",
    "sessions_behind",
    "rejected_share",
    "revisions",
    "open_gaps",
    "stale_runs",
    "no_volume_share",
    "suspected_splits",
]
WatchlistSource = Literal["none", "yahoo", "folder", "feed"]
Feedback = Literal["confirmed", "expected", "false_alarm", "new_trend"]
FeedbackCause = Literal[
    "earnings", "corporate_action", "news", "data_error", "market_wide", "other"
]
AlertOrder = Literal["-created_at", "-grade"]
AlertState = Literal["active", "acknowledged", "snoozed", "resolved", "expired"]
AlertStep = Literal["acknowledge", "resolve", "snooze", "assign", "comment", "reopen"]
"""What a person does with an alert."""
AlertEvent = Literal[
    AlertStep,
    "raise",
    "extend",
    "wake",
    "expire",
    "supersede",
    "return",
    "mute",
    "unmute",
    "threshold",
    "make",
    "change",
    "remove",
    "promote",
    "rollback",
    "retire",
]
"""The same, what the service does with it by itself, and what else a person changes."""
EntityType = Literal["ticker", "market", "feed", "series"]
GroupType = Literal["ticker", "index", "industry", "sector", "market"]
Direction = Literal["up", "down"]
MoveScope = Literal["market", "sector", "own", "mixed", "quiet"]
"""Whose move a strange bar was: see alerts/root_cause/factors.py."""
KeyScope = Literal["read", "enqueue", "respond", "admin"]
Side = Literal["buy", "sell", "unknown"]
TickKind = Literal["trades", "depth", "funding"]
DataKind = Literal["candles", TickKind]
RecordKind = Literal[DataKind, "message"]
PRICES = ("open", "high", "low", "close")
"""The fields of a bar that are prices."""
