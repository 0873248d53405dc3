"""Asks MongoDB several independent questions in one round trip.

The round trip of a small query takes longer than its work: six queries of one document each take
six times as long as one, but all together hardly longer than one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pymongo.collection import Collection

from records.database import Db, Query
from records.tenancy import narrow

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Question(Generic[Answer]):
    """A pipeline over a collection, with a function that makes an answer of the few documents that
    it finds. `answer` is set by `ask`.
    """

    collection: Collection[Any]
    stages: Sequence[Query]
    read: Callable[[list[Any]], Answer]
    answer: Answer = field(init=False)


def ask(database: Db, *questions: Question[Any]) -> None:
    """Set the answers of some questions, whose documents may have 16 MB together."""
    named = {str(number): question for number, question in enumerate(questions)}
    lookups = [
        {
            "$lookup": {
                "from": question.collection.name,
                "pipeline": narrow(question.collection, question.stages),
                "as": name,
            }
        }
        for name, question in named.items()
    ]
    found = next(iter(database.aggregate([{"$documents": [{}]}, *lookups])))
    for name, question in named.items():
        question.answer = question.read(found[name])


def get_first(found: Sequence[Answer]) -> Answer | None:
    """Return the one document that was found; None where there is none."""
    return found[0] if found else None
