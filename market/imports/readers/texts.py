"""Decodes text: finds its encoding, and limits the length of its lines."""

import codecs
import re
from collections.abc import Iterator

from core.errors import BadInput
from market.imports.readers.limits import MOST_BYTES, MOST_LINE_BYTES

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Tried in this order on text that is not UTF-8; the first with known names of columns is taken.
_OTHERS = (
    "cp932",
    "gb18030",
    "big5",
    "cp949",
    "cp874",
    "cp1251",
    "cp1252",
    "cp1250",
    "cp1254",
    "latin-1",
)
_LOOKED_AT_BYTES = 64 * 1024
# In western languages accented letters are single, or in pairs, among ASCII letters; in other
# scripts whole words are beyond ASCII.
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")
_FIRST_LETTER = b"\xc0"
_ACCENTED = re.compile(rb"[\xc0-\xff]{1,2}")


def decode(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield, for each possible encoding, its name and the content as UTF-8 with line feeds.

    Raises BadInput where the content is no text, or a line is too long.
    """
    if len(content) > MOST_BYTES:
        raise BadInput(f"it has more than {MOST_BYTES // 2**20} MiB")
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            yield encoding, _recode(content[len(mark) :], encoding)
            return
    head = content[:4096]
    if b"\0" in head:
        evens, odds = head[::2].count(0), head[1::2].count(0)
        encoding = (
            "utf-16-le" if odds > len(head) // 4 else "utf-16-be" if evens > len(head) // 4 else ""
        )
        if not encoding:
            raise BadInput("it is no text: zero bytes are in it")
        yield encoding, _recode(content, encoding)
        return
    try:
        content.decode()
    except UnicodeDecodeError:
        yield from _try_others(content)
    else:
        yield "utf-8", _check_lines(content)


def _try_others(content: bytes) -> Iterator[tuple[str, bytes]]:
    western = ("cp1252",) if _is_western(content) else ()
    for encoding in dict.fromkeys((*western, *_OTHERS)):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        yield encoding, _check_lines(text.encode())


def _is_western(content: bytes) -> bool:
    """Return whether most characters beyond ASCII near the start are accented letters. Single signs
    (a non-breaking space, a quote, a currency) do not count.
    """
    found = [
        part
        for part in _BEYOND_ASCII.findall(content[:_LOOKED_AT_BYTES])
        if len(part) > 1 or part >= _FIRST_LETTER
    ]
    return 2 * sum(_ACCENTED.fullmatch(part) is not None for part in found) >= len(found)


def _recode(content: bytes, encoding: str) -> bytes:
    try:
        return _check_lines(content.decode(encoding).encode())
    except UnicodeError as error:
        raise BadInput(
            f"it is no text in {encoding}, which its first bytes say: {str(error)[:100]}"
        ) from error


def _check_lines(content: bytes) -> bytes:
    """Return text with line feeds. Raises BadInput on a line that is too long."""
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if b"\0" in content:
        raise BadInput("it is no text: zero bytes are in it")
    start, step = 0, MOST_LINE_BYTES
    while start + step < len(content):
        end = content.rfind(b"\n", start, start + step)
        if end < 0:
            raise BadInput(
                f"it has a line of more than {MOST_LINE_BYTES // 1024} KiB: it is no table of bars"
            )
        start = end + 1
    return content
