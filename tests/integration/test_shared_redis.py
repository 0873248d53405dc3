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
