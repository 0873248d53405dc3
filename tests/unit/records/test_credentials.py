"""What messages and logs show of a server's address."""

import pytest

from records.database import hide_credentials


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mongodb://db.example:27017/", "mongodb://db.example:27017/"),
        ("mongodb://me:s3cret@a:1,b:2/?x=1", "mongodb://***@a:1,b:2/?x=***"),
        ("redis://:s3cret@h:6379/0", "redis://***@h:6379/0"),
        # Passwords that should have been escaped: the server refuses them, in a message.
        ("mongodb://me:s3/cret@h/db", "mongodb://***@h/db"),
        ("redis://:s3?cret@h:6379/0", "redis://***@h:6379/0"),
        ("mongodb://me:s3@cret@h/db", "mongodb://***@h/db"),
        # Redis and MongoDB take passwords as options, too.
        ("redis://h:6379/0?password=s3cret&db=1", "redis://h:6379/0?password=***&db=1"),
        (
            "mongodb://h/?tls=true&tlsCertificateKeyFilePassword=s3cret",
            "mongodb://h/?tls=true&tlsCertificateKeyFilePassword=***",
        ),
        ("mongodb://h/?replicaSet=rs0&x", "mongodb://h/?replicaSet=rs0&x"),
        ("mongodb://h/?replicaSet=rs0;x=s3cret", "mongodb://h/?replicaSet=rs0;x=***"),
        # The scheme is missing, or written wrongly.
        ("me:s3cret@h/db", "***@h/db"),
        ("mongodb:/me:s3cret@h/db", "***@h/db"),
        ("no address", "no address"),
    ],
)
def test_an_address_is_shown_without_passwords(url: str, shown: str) -> None:
    assert hide_credentials(url) == shown
