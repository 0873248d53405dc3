"""`python -m runner.demo_bars` imports the demo's bars once it is told where MongoDB is.

It is a process of its own: the runner does not keep numpy and the like in memory while it serves,
and this process imports them while the servers start.
"""

import sys
from datetime import UTC, datetime

from core.settings import read_settings
from market.imports.bulk import import_demo
from market.imports.noting import note_import
from records.database import open_database


def main() -> str | None:
    """Read MongoDB's URL, import the bars, and print how many were rejected; return what failed."""
    url = sys.stdin.readline().strip()
    # The service did not start.
    if not url:
        return None
    settings = read_settings(env_file=None).model_copy(update={"mongo_url": url})
    database = open_database(settings)
    with database.client:
        now = datetime.now(UTC)
        report = import_demo(database, now=now)
        note_import(database, report, now)
    sys.stdout.write(str(report.total("rejected_rows")))
    return "; ".join(f"{series.ticker}: {series.error}" for series in report.failed) or None


if __name__ == "__main__":
    sys.exit(main())
