"""Two services on one Redis would take each other's messages: the second one is told."""

from collections.abc import Iterator

import pytest
import redis
from structlog.testing import capture_logs

from core.errors import BadInput
from core.settings import Settings
from records.database import Db
from runner.service import _check_redis
from tasks.process.broker import OWNER, build_celery, hold_redis


@pytest.fixture
def other(settings: Settings) -> Settings:
    """Settings of another service, on the same Redis."""
    return settings.model_copy(update={"mongo_database": f"{settings.mongo_database}_other"})


@pytest.fixture
def broker(settings: Settings, other: Settings, database: Db) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as client:
        client.delete(OWNER)
        yield client
        client.delete(OWNER)
    database.client.drop_database(other.mongo_database)


def test_a_start_on_the_redis_of_another_service_is_refused(
    settings: Settings, other: Settings, broker: redis.Redis
) -> None:
    _check_redis(settings)
    _check_redis(settings)  # it is its own after a restart, too
    with pytest.raises(BadInput, match="another service, whose MongoDB is mongodb"):
        _check_redis(other)
    assert broker.ttl(OWNER) > 0
    broker.delete(OWNER)  # the first one is gone
    _check_redis(other)


def test_it_is_owned_until_the_next_sweep_is_late_however_seldom_they_come(
    settings: Settings, other: Settings, broker: redis.Redis
) -> None:
    """After a minute each took it in turn, and neither was told."""
    _check_redis(settings.model_copy(update={"sweep_seconds": 300}))
    assert broker.ttl(OWNER) > 300
    with pytest.raises(BadInput, match=r"start again in 3\d\d s"):
        _check_redis(other)


def test_a_copy_of_a_database_is_another_service(
    settings: Settings, other: Settings, database: Db, broker: redis.Redis
) -> None:
    _check_redis(settings)
    database.client[other.mongo_database].settings.insert_many(database.settings.find())
    with pytest.raises(BadInput, match="another service"):
        _check_redis(other)


def test_where_its_mongodb_is_now_is_what_others_are_told(
    settings: Settings, other: Settings, broker: redis.Redis
) -> None:
    """That of `make up` has another port after each start."""
    _check_redis(settings)
    moved = settings.mongo_url.replace("127.0.0.1", "localhost")
    assert moved != settings.mongo_url
    _check_redis(settings.model_copy(update={"mongo_url": moved}))
    with pytest.raises(BadInput, match="localhost"):
        _check_redis(other)


def test_what_else_lies_there_stops_nobody(
    settings: Settings, database: Db, broker: redis.Redis
) -> None:
    celery = build_celery(settings)
    broker.rpush(OWNER, "a list")
    _check_redis(settings)
    broker.set(OWNER, b"\xff\xfe")
    hold_redis(celery, database, settings)
    celery.close()
    assert broker.ttl(OWNER) > 0


def test_who_works_on_the_redis_of_another_service_is_told_in_its_log(
    settings: Settings, other: Settings, database: Db, broker: redis.Redis
) -> None:
    celery = build_celery(settings)
    with capture_logs() as logs:
        hold_redis(celery, database, settings)
        broker.expire(OWNER, 5)
        hold_redis(celery, database, settings)
        assert broker.ttl(OWNER) > 5
        assert logs == []
        hold_redis(celery, database.client[other.mongo_database], other)
    celery.close()
    (told,) = logs
    assert told["event"] == "redis_is_anothers"
    assert settings.mongo_database in told["mongodb"]
