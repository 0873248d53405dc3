"""Questions that do not need each other's answers, asked of MongoDB in one round trip.

A query costs its round trip more than its work: six of one document each take six times as long as
one does, and all together hardly longer than one.
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
    """The stages of a pipeline over a collection, and what makes an answer of the few documents
    that it finds. `answer` is there once it was asked.
    """

    collection: Collection[Any]
    stages: Sequence[Query]
    read: Callable[[list[Any]], Answer]
    answer: Answer = field(init=False)


def ask(database: Db, *questions: Question[Any]) -> None:
    """Answer questions, whose documents together may have 16 MB."""
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
