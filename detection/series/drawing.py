"""Draws a single series as SVG: its points, the expected values, the normal range, and values
outside it in red.

The SVG refers to no other file. Colours are attributes, so that it can be shown alone; each part
has a class, so that a page can change them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from sys import float_info

WIDTH, HEIGHT = 960, 360
LEFT, RIGHT, TOP, BOTTOM = 72, 12, 12, 28
# Of more points only the lowest and the highest of each stretch are drawn, as points would overlap.
MOST_DRAWN = 2_000
TICKS = 5


@dataclass(frozen=True, slots=True)
class DrawnPoint:
    """A point with its judgement, as far as there is one."""

    timestamp: int
    value: float
    anomaly: bool = False
    expected: float | None = None
    lower: float | None = None
    upper: float | None = None


def thin_out(values: Sequence[float]) -> list[int]:
    """Return the positions of the points that are drawn: all, or the lowest and the highest of each
    stretch.
    """
    count = len(values)
    if count <= MOST_DRAWN:
        return list(range(count))
    stretches = MOST_DRAWN // 2
    kept: set[int] = {0, count - 1}
    for stretch in range(stretches):
        places = range(stretch * count // stretches, (stretch + 1) * count // stretches)
        kept |= {min(places, key=values.__getitem__), max(places, key=values.__getitem__)}
    return sorted(kept)


def draw_series(
    title: str, training: Sequence[DrawnPoint], predictions: Sequence[DrawnPoint]
) -> str:
    """Return the SVG of training points and stored predictions, each in order of time; at least one
    point is needed.
    """
    points = [*training, *predictions]
    scale = _Scale.fit(points)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            ' class="series-plot">'
        ),
        f"<title>{escape(title)}</title>",
        *_draw_axes(scale),
        *(_draw_range(scale, part) for part in (training, predictions)),
        _draw_line(
            scale,
            [(p.timestamp, p.expected) for p in points if p.expected is not None],
            "series-expected",
        ),
        _draw_line(scale, [(p.timestamp, p.value) for p in training], "series-values"),
        *(
            _draw_dot(scale, point, "series-prediction", 3.5)
            for point in predictions
            if not point.anomaly
        ),
        *(_draw_dot(scale, point, "series-anomaly", 4.5) for point in points if point.anomaly),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps times and values to coordinates of the drawing."""

    first: int
    last: int
    low: float
    high: float

    @classmethod
    def fit(cls, points: Sequence[DrawnPoint]) -> "_Scale":
        shown = [
            number
            for p in points
            for number in (p.value, p.expected, p.lower, p.upper)
            if number is not None
        ]
        # Computed with halves, as the difference of two floats may overflow.
        low, high = min(shown) / 2, max(shown) / 2
        margin = 0.05 * (high - low) or abs(high) * 0.05 or 0.5
        times = [p.timestamp for p in points]
        return cls(min(times), max(times), _bound(low - margin), _bound(high + margin))

    def x(self, time: int) -> float:
        span = self.last - self.first
        share = (time - self.first) / span if span else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (value / 2 - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _bound(half: float) -> float:
    return half if isfinite(half * 2) else max(-float_info.max / 2, min(half, float_info.max / 2))


def _draw_axes(scale: _Scale) -> list[str]:
    parts = []
    for tick in range(TICKS):
        value = 2 * (scale.low + (scale.high - scale.low) * tick / (TICKS - 1))
        y = scale.y(value)
        parts.append(
            f'<line class="series-grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
            'stroke="#8884" stroke-width="1"/>'
        )
        parts.append(_draw_text(LEFT - 8, y + 4, f"{value:.4g}", "end"))
    middle = (scale.first + scale.last) // 2
    for time, anchor in ((scale.first, "start"), (middle, "middle"), (scale.last, "end")):
        parts.append(_draw_text(scale.x(time), HEIGHT - 8, str(time), anchor))
    return parts


def _draw_text(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="series-text" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="12" '
        f'font-family="sans-serif" fill="#777">{escape(text)}</text>'
    )


def _draw_range(scale: _Scale, points: Sequence[DrawnPoint]) -> str:
    """Return the area between lower and upper; where one side is open, it goes to the edge."""
    banded = [p for p in points if p.lower is not None or p.upper is not None]
    if not banded:
        return ""
    floor, ceiling = 2 * scale.low, 2 * scale.high
    above = [(p.timestamp, ceiling if p.upper is None else p.upper) for p in banded]
    below = [(p.timestamp, floor if p.lower is None else p.lower) for p in reversed(banded)]
    corners = " ".join(
        f"{scale.x(time):.1f},{scale.y(value):.1f}" for time, value in (*above, *below)
    )
    return f'<polygon class="series-range" points="{corners}" fill="#3b82f6" fill-opacity="0.14"/>'


def _draw_line(scale: _Scale, points: Sequence[tuple[int, float]], name: str) -> str:
    if not points:
        return ""
    colour, dash = (
        ("#3b82f6", ' stroke-dasharray="5 4"') if name == "series-expected" else ("#475569", "")
    )
    corners = " ".join(f"{scale.x(time):.1f},{scale.y(value):.1f}" for time, value in points)
    return (
        f'<polyline class="{name}" points="{corners}" fill="none" stroke="{colour}"'
        f' stroke-width="1.4" stroke-linejoin="round"{dash}/>'
    )


def _draw_dot(scale: _Scale, point: DrawnPoint, name: str, radius: float) -> str:
    colour = "#dc2626" if point.anomaly else "#0f766e"
    expected = "" if point.expected is None else f", expected {point.expected:g}"
    said = f"{point.timestamp}: {point.value:g}{expected}"
    return (
        f'<circle class="{name}" cx="{scale.x(point.timestamp):.1f}"'
        f' cy="{scale.y(point.value):.1f}" r="{radius}"'
        f' fill="{colour}"><title>{escape(said)}</title></circle>'
    )
