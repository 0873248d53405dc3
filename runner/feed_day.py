"""`python -m runner.feed_day FOLDER`: writes a synthetic month and day as files, for `make
feed-demo`.

It is a process of its own, so that the runner does not keep numpy and the like in memory.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from market.imports.sources.replay import make_replay

HISTORY, DAY = "history.parquet", "day.parquet"


def main() -> None:
    """Write both files."""
    folder = Path(sys.argv[1])
    history, day = make_replay(datetime.now(UTC))
    history.to_parquet(folder / HISTORY, index=False)
    day.to_parquet(folder / DAY, index=False)


if __name__ == "__main__":
    main()
