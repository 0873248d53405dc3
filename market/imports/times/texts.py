"""Reads times that are texts."""

from datetime import UTC, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from core.arrays import Bools, Int64
from core.errors import BadInput
from market.imports.options import ReadingOptions
from market.imports.times.clocks import ABBREVIATIONS, PLACES, read_clock
from market.imports.times.dates import (
    part_date,
    part_year_last,
    refuse_days_first,
    refuse_turned,
    settle_order,
)
from market.imports.times.epochs import read_epochs
from market.imports.times.months import settle_months
from market.imports.times.uniques import LATEST, SHOWN, Uniques, to_seconds
from market.imports.times.zones import make_moments
from market.intervals import DAY_SECONDS

# A longer text is no time.
LONGEST = 64
_ISO = r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
_ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"
_END_OF_DAY = r"[ T]24:?00(?::?00(?:\.0*)?)?(?:Z|[ +-].*)?$"
_IN_SEASON = rf"[^A-Za-z/](?:{'|'.join(PLACES)})$"
_MIDNIGHT = r"([ T])24(?=:?00)"


def read_texts(texts: "pd.Series[str]", options: ReadingOptions) -> Uniques:
    """Read texts: numbers, and dates with or without a time of day."""
    size = len(texts)
    texts = part_year_last(texts.where(texts.str.len() <= LONGEST, ""))
    numeric = texts.str.fullmatch(r"-?\d{5,20}(?:\.\d+)?").to_numpy(bool)
    if numeric.any():
        numeric = numeric & ~_find_compact(texts)
    read = Uniques(
        np.zeros(size, np.int64), np.zeros(size, bool), np.zeros(size, bool), np.zeros(size, bool)
    )
    if numeric.any():
        found = read_epochs(_to_numbers(texts[numeric]))
        read.seconds[numeric], read.zoned[numeric] = found.seconds, found.zoned
        read.bad[numeric], read.dated[numeric] = found.bad, found.dated
        read.notes += found.notes
    if numeric.all():
        return read
    rest = np.flatnonzero(~numeric)
    ends = np.zeros(len(rest), bool)
    if options.labels == "end":
        ends = texts.iloc[rest].str.contains(_END_OF_DAY, regex=True).to_numpy(bool)
        # Where all times are 24:00, the bars are daily or weekly, and the date is their label.
        ends = ends & (not ends.all())
        texts = texts.str.replace(_MIDNIGHT, r"\g<1>00", regex=True)
    else:
        _refuse_ends(texts.iloc[rest])
    written, zones, dated = _normalize(texts.iloc[rest], options, read.notes)
    parsed = pd.to_datetime(written, format="ISO8601", errors="coerce", utc=True)
    read.seconds[rest] = to_seconds(parsed) + ends * DAY_SECONDS
    read.bad[rest] = parsed.isna().to_numpy(bool)
    read.zoned[rest] = written.str.contains(_ZONE, regex=True).to_numpy(bool, na_value=False)
    read.dated[rest] = dated
    good = rest[~read.bad[rest]]
    _refuse_other_season(texts.iloc[good], read.seconds[good])
    for name in set(zones.values()):
        rows = np.array([rest[row] for row, zone in zones.items() if zone == name], np.int64)
        make_moments(read, rows[~read.bad[rows]], ZoneInfo(name))
    return read


def _to_numbers(texts: "pd.Series[str]") -> "pd.Series[Any]":
    """Return texts of digits as integers, or as floats where some are no integers or too long."""
    if texts.str.fullmatch(r"-?\d{1,18}|-?[1-8]\d{18}").all():
        return pd.Series(texts.to_numpy(object).astype(np.int64))
    return pd.Series(texts.to_numpy(object).astype(np.float64))


def _find_compact(texts: "pd.Series[str]") -> Bools:
    """Return which texts are dates with times of 12 or 14 digits (202401020930): all that have so
    many digits, or none.
    """
    digits = texts.str.fullmatch(r"(?:19|20|21)\d{10}(?:\d{2})?").to_numpy(bool)
    if not digits.any():
        return digits
    found = texts[digits].where(texts[digits].str.len() == 14, texts[digits] + "00")
    parsed = pd.to_datetime(found.astype(object), format="%Y%m%d%H%M%S", errors="coerce")
    return digits if bool(parsed.notna().all()) else np.zeros(len(texts), bool)


def _normalize(
    texts: "pd.Series[str]", options: ReadingOptions, notes: list[str]
) -> tuple["pd.Series[str]", dict[int, str], Bools]:
    """Return times as ISO 8601 (None where one cannot be read), by row the names of zones, and
    which times are only dates.
    """
    iso = texts.str.fullmatch(_ISO).to_numpy(bool)
    dated = iso & (texts.str.len() == 10).to_numpy(bool)
    refuse_days_first(texts[iso])
    if iso.all():
        return texts, {}, dated
    written: list[str | None] = [*texts]
    zones: dict[int, str] = {}
    others = np.flatnonzero(~iso).tolist()
    parted = [str(written[row]) for row in others]
    refuse_turned([str(text) for text in texts[iso]], parted)
    months = settle_months(parted, len(texts))
    day_first = settle_order(parted, options, notes)
    has_other_years = False
    for row in others:
        date_text, clock = part_date(str(written[row]), months, day_first=day_first)
        time, zone = read_clock(clock) if clock else ("", "")
        if date_text is None or time is None:
            written[row] = None
            continue
        dated[row] = not clock
        if date_text[:4] not in str(written[row]) and not has_other_years:
            has_other_years = True
            notes.append(
                f"{str(written[row])[:SHOWN]} is read as {date_text}, by the years of another"
                " calendar"
            )
        if zone and zone[0] not in "+-":
            zones[row], zone = zone, ""
        written[row] = date_text + time + zone
    return pd.Series(written, dtype=object).astype("str"), zones, dated


def _refuse_ends(texts: "pd.Series[str]") -> None:
    """Raise BadInput where an intraday bar is labelled 24:00, as no bar begins then."""
    written = pa.array(texts)
    ends = written.filter(pc.match_substring_regex(written, _END_OF_DAY))
    if len(ends):
        raise BadInput(
            f"times such as {ends[0].as_py()[:SHOWN]} are labels of a bar's end, and bars are"
            " labelled by their start: say that labels are of the end, and of daily bars write the"
            " dates alone"
        )


def _refuse_other_season(texts: "pd.Series[str]", seconds: Int64) -> None:
    """Raise BadInput where a time has an abbreviation of another season, such as EST in July: times
    that are marked EST all year are mostly New York's local times.
    """
    ends = pc.match_substring_regex(pa.array(texts, pa.string()), _IN_SEASON, ignore_case=True)
    rows = np.flatnonzero(np.asarray(ends))
    rows = rows[seconds[rows] < LATEST]
    names = texts.iloc[rows].str.upper().str.extract(rf"({'|'.join(PLACES)})$", expand=False)
    for name in names.unique():
        own, zone = rows[(names == name).to_numpy(bool)], ZoneInfo(PLACES[name])
        moments = pd.DatetimeIndex(seconds[own].astype("datetime64[s]"), tz=UTC)
        walls = moments.tz_convert(zone).tz_localize(None)
        written = moments.tz_localize(None) + timedelta(hours=int(ABBREVIATIONS[name][:3]))
        for row in np.flatnonzero(walls != written).tolist():
            moment, meant = moments[row], written[row].replace(tzinfo=zone).astimezone(UTC)
            if moment == meant:  # In the hour that the clocks skip.
                continue
            raise BadInput(
                f"times such as {texts.iloc[own[row]][:SHOWN]} can be read two ways: {zone.key} has"
                f" {moment.astimezone(zone).tzname()} then, so that it is {moment:%H:%M} or"
                f" {meant:%H:%M} UTC. Write the offset in place of {name}, or leave it away and say"
                " the time zone"
            )
