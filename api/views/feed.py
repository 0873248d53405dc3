"""How far the feed was stored, for producers that send again what was lost."""

from apiflask import APIBlueprint

from api.http.state import get_database
from api.schemas.feed import FeedPositions
from records.database import Document
from records.ticks.positions import find_positions

feed = APIBlueprint("feed", __name__, tag="trades, depth and funding")


@feed.get("/feed/positions")
@feed.output(FeedPositions)
def get_positions() -> Document:
    """Return how far each stream was stored, and the last number of each of its producers.

    A producer begins here, and here again where the bus lost what it had: behind the `seq` that was
    stored.
    """
    return {
        "streams": [
            {**one, "stream": one["_id"], "consumer": one["owner"]}
            for one in find_positions(get_database())
        ]
    }
