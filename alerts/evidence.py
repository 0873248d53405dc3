"""Evidence: all that an alert is based on, in one file that can be checked without the service.

It is a zip of `alert.json`, `bars.csv`, `anomalies.json` (features, scores and the model's inputs),
`models.json`, `verifications.json`, `trail.json`, `chart.svg` and `manifest.json`, which has the
SHA-256 of each of the others. A single series has neither bars nor a chart.
"""

import csv
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo
from zlib import error as ZlibError  # noqa: N812 - named as other errors are

from core.errors import BadInput, NotFound
from core.moments import write_moment
from market.bars.reading import Bar, read_bars
from records.alerts.alerts import get_alert
from records.alerts.documents import AlertDocument, EndedAlert
from records.alerts.trail import find_trail
from records.database import Db
from records.findings.anomalies import find_by_ids
from records.findings.series_predictions import find_by_ids as find_predictions
from records.findings.verifications import find_latest
from records.models.models import find_model

FORMAT: Final = "evidence/1"
MANIFEST: Final = "manifest.json"
# Bars for the yardstick of a year, and those that features need before them.
BARS = 600
DRAWN_BARS = 120
MOST_BYTES = 50_000_000
MOST_FILES = 100
WIDTH, HEIGHT, EDGE = 720, 240, 12
# The earliest time that a zip can hold; the manifest has the time at which the file was made.
EPOCH = (1980, 1, 1, 0, 0, 0)


def build_evidence(database: Db, alert_id: str, now: datetime) -> bytes:
    """Return the evidence of an alert, also of one in the history, as a zip. Raises NotFound."""
    alert = get_alert(database, alert_id)
    ids = alert["anomaly_ids"]
    is_series = alert["entity_type"] == "series"
    anomalies: Sequence[Mapping[str, Any]] = (
        find_predictions(database, ids) if is_series else find_by_ids(database, ids)
    )
    bars = _read_bars(database, alert)
    versions = sorted({str(a["model_version"]) for a in anomalies if a.get("model_version")})
    files = {
        "alert.json": _to_json(alert),
        "anomalies.json": _to_json(anomalies),
        "models.json": _to_json([m for v in versions if (m := find_model(database, v))]),
        "verifications.json": _to_json(find_latest(database, ids)),
        "trail.json": _to_json(find_trail(database, alert_id)),
    }
    if bars:
        strange = {int(a["Datetime"].timestamp()) for a in anomalies}
        files |= {"bars.csv": _to_csv(bars), "chart.svg": draw_chart(bars, strange, alert_id)}
    return _pack(files, alert_id, now)


def check_evidence(path: Path) -> list[str]:
    """Return what is wrong with a file of evidence; nothing if each hash agrees with its manifest.

    Raises BadInput where it is no such file.
    """
    try:
        with ZipFile(path) as archive:
            listed = archive.infolist()
            if len(listed) > MOST_FILES or sum(i.file_size for i in listed) > MOST_BYTES:
                raise BadInput(f"{path.name} is larger than evidence is")
            held = {info.filename: _read_packed(archive, info) for info in listed}
    except (BadZipFile, ZlibError, OSError, RuntimeError, EOFError) as error:
        raise BadInput(f"{path.name} is no zip that can be read: {error}") from error
    try:
        manifest = json.loads(held.pop(MANIFEST))
        named = {file["name"]: file["sha256"] for file in manifest["files"]}
        if manifest["format"] != FORMAT:
            raise BadInput(f"{path.name} is {manifest['format']!r}, not {FORMAT}")
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"{path.name} has no {MANIFEST} of {FORMAT}") from error
    # Of two entries with one name, the one that people look at may not be the one that was hashed.
    counts = Counter(info.filename for info in listed)
    problems = [f"{name} is in it {count} times" for name, count in counts.items() if count > 1]
    problems += [f"{name} is missing" for name in sorted(named.keys() - held.keys())]
    problems += [f"{name} is not in the manifest" for name in sorted(held.keys() - named.keys())]
    problems += [
        f"{name} was changed: its hash is not the manifest's"
        for name in sorted(named.keys() & held.keys())
        if sha256(held[name]).hexdigest() != named[name]
    ]
    return problems


def _read_packed(archive: ZipFile, info: ZipInfo) -> bytes:
    if info.compress_type not in {ZIP_DEFLATED, ZIP_STORED}:
        raise BadZipFile(f"{info.filename} is packed as no evidence is")
    return archive.read(info)


def draw_chart(bars: Sequence[Bar], strange: set[int], title: str) -> bytes:
    """Return the closes of the last bars as SVG, with a circle on each that is strange."""
    drawn = bars[-DRAWN_BARS:]
    closes = [bar.close for bar in drawn]
    low, high = min(closes), max(closes)
    across = (WIDTH - 2 * EDGE) / max(1, len(drawn) - 1)
    scale = (HEIGHT - 2 * EDGE) / ((high - low) or 1.0)
    points = [
        (EDGE + across * n, HEIGHT - EDGE - scale * (close - low)) for n, close in enumerate(closes)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="none" stroke="#c0392b" stroke-width="2"/>'
        for (x, y), bar in zip(points, drawn, strict=True)
        if bar.time in strange
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f"<title>{escape(title)}: closes from {low:.6g} to {high:.6g}</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<polyline points="{line}" fill="none" stroke="#2c3e50" stroke-width="1.5"/>{marks}</svg>'
    ).encode()


def _read_bars(database: Db, alert: AlertDocument | EndedAlert) -> list[Bar]:
    if alert["entity_type"] != "ticker":
        return []
    ticker, interval, last = alert["entity_id"], alert["interval"], alert["last_bar"]
    try:
        return read_bars(database, ticker, interval, start=None, end=last, limit=BARS)
    except NotFound:
        return []  # their bars are gone since


def _to_csv(bars: Sequence[Bar]) -> bytes:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(Bar._fields)
    for bar in bars:
        when = datetime.fromtimestamp(bar.time, UTC)
        writer.writerow((f"{when:%Y-%m-%dT%H:%M:%SZ}", *(repr(value) for value in bar[1:])))
    return text.getvalue().encode()


def _pack(files: Mapping[str, bytes], alert_id: str, now: datetime) -> bytes:
    listed = [
        {"name": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in sorted(files.items())
    ]
    manifest = _to_json({"format": FORMAT, "alert": alert_id, "made_at": now, "files": listed})
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in (*sorted(files.items()), (MANIFEST, manifest)):
            archive.writestr(ZipInfo(name, EPOCH), content, ZIP_DEFLATED)
    return buffer.getvalue()


def _to_json(value: object) -> bytes:
    return json.dumps(value, default=_write, indent=2, sort_keys=True, ensure_ascii=False).encode()


def _write(value: object) -> str:
    if isinstance(value, datetime):
        return write_moment(value)
    return str(value)
