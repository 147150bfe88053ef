"""Curves: metrics by epoch or step, with the best point, where a run stopped, and what it never trained."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any

from trainjobs.views.page.markup import NOTHING, Html, element
from trainjobs.views.page.scale import Scale, short
from trainjobs.views.page.thinning import thinned

HEIGHT = 240
"""Pixels of a plot; its width is that of the window."""
POINTS = 30_000
"""Of all lines of a chart together, at most."""
_WIDTH = 1000
"""Units of a plot's width, for lines; they are stretched to the window."""
_ROW = 17
"""Pixels of a line of text."""
_TICK, _LEAST_TICKS = 48, 3
"""Pixels of a y axis for each of its ticks, and how many it has at least."""
_LEAST_UNTRAINED, _MOST_UNTRAINED = 0.05, 0.4
"""Share of a plot that what was never trained takes, however little or much it is."""
_DEPTHS = {"faded": 0, "accent": 2}
"""What is drawn before the others, and what after them."""
_LONGEST_NAME = 18
"""Characters of a line's name beside a plot; of a longer one the middle is left out."""
_ON_A_PHONE = 4
"""Ticks that have room there; of more, every other one is left out."""
_MIDDLE = 0.5
"""Names of what lies further right stand to its left."""
_ROOM_FOR_NAMES = 0.28
"""Share from which on the lines' names stand beside their ends, on what was never trained."""


@dataclass(frozen=True, slots=True)
class Line:
    """One curve."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    """NaN and infinity are gaps."""
    look: str
    """Class of the stylesheet, such as "accent"."""
    best: int | None = None
    """Which value is the best one."""
    labelled: bool = True
    """Whether its name stands at its end."""
    note: str = ""
    """What is told of it beside its name."""
    trial: int | None = None
    """The number of the trial that it is of, among dots and rows with the same one."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A place on the x axis with a name."""

    x: float
    text: str
    look: str
    """"best", "stop" or "shadow"."""


@dataclass(frozen=True)
class LineChart:
    """Curves over one axis."""

    title: str
    unit: str
    """What x counts: "epoch" or "step"."""
    lines: Sequence[Line]
    markers: Sequence[Marker] = ()
    length: float | None = None
    """Where it would have ended; None: nothing is told of that."""
    untrained_words: tuple[str, str] = ("", "")
    """What stands in two lines on what was never trained."""
    told: str = ""
    """What it shows, in a sentence for those who do not see it."""
    height: int = HEIGHT
    """Pixels of its plot. A page's script knows one height only."""

    @cached_property
    def untrained(self) -> float:
        """Share of the plot that stands for what was never trained."""
        if self.length is None or self.length <= self.last:
            return 0.0
        share = (self.length - self.last) / max(self.length - self.first, 1e-9)
        return min(max(share, _LEAST_UNTRAINED), _MOST_UNTRAINED)

    @property
    def is_cut(self) -> bool:
        """Whether what was never trained is drawn narrower than it is."""
        return self.untrained == _MOST_UNTRAINED

    @cached_property
    def first(self) -> float:
        return min((line.xs[0] for line in self.lines if line.xs), default=0.0)

    @cached_property
    def last(self) -> float:
        return max((line.xs[-1] for line in self.lines if line.xs), default=1.0)

    @cached_property
    def thin(self) -> Sequence[Line]:
        """The lines with as many points as are drawn; the best one is always among them."""
        most = max(20, POINTS // max(1, len(self.lines)))
        return [_thin(line, min(most, _WIDTH)) for line in self.lines]

    @cached_property
    def scale(self) -> Scale:
        """The y axis."""
        return Scale.of(y for line in self.lines for y in line.ys)

    def across(self, x: float) -> float:
        """Where x lies, 0 to 1."""
        width = max(self.last - self.first, 1e-9)
        trained = (x - self.first) / width if self.last > self.first else 0.5 * (1 + bool(self.untrained))
        return min(max(trained, 0.0), 1.0) * (1 - self.untrained)

    def down(self, y: float) -> float:
        """Where y lies, in pixels from the top."""
        return (1 - self.scale.share(y)) * self.height

    @property
    def below(self) -> int:
        """Pixels of the plot and of its x axis."""
        return self.height + _ROW + 8

    @property
    def above(self) -> int:
        """Pixels of the markers' names."""
        return len(self.markers) * _ROW

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Of the y axis."""
        return self.scale.ticks(max(_LEAST_TICKS, self.height // _TICK))

    @property
    def has_names_beside(self) -> bool:
        """Whether the lines' names stand beside the plot."""
        return self.untrained < _ROOM_FOR_NAMES and any(line.labelled for line in self.lines)

    @property
    def data(self) -> Mapping[str, Any]:
        """What the page's script needs to tell values."""
        return {
            "unit": self.unit,
            "x": [self.first, self.last, 1 - self.untrained],
            "y": [self.scale.low, self.scale.high, int(self.scale.log)],
            "lines": [_data(line) for line in self.thin],
        }


def drawn(chart: LineChart, number: int) -> Html:
    """The chart as a figure; `number` is that of its data in the page."""
    beside = chart.has_names_beside
    plot = element("div", plotted(chart), class_="plot", role="img", aria_label=chart.told, data_chart=number)
    look = f"chart rows-{len(chart.markers)}" + (" beside" if beside else "")
    parts = element("div", y_axis(chart), plot, names_beside(chart) if beside else NOTHING, class_=look)
    note = element("span", f"by {chart.unit}{', logarithmic' if chart.scale.log else ''}", class_="quiet")
    return element("figure", element("figcaption", chart.title, note), parts)


def y_axis(chart: LineChart) -> Html:
    """The numbers left of the plot, as high as what is `below`."""
    ticks = [element("text", label, x="100%", y=_round(chart.down(at) + 4)) for at, label in chart.ticks]
    return element("svg", *ticks, class_="axis", height=chart.below, aria_hidden="true")


def plotted(chart: LineChart) -> Html:
    """The plot with what stands `above` it."""
    inner = element(
        "svg",
        *_grid(chart),
        *_untrained(chart),
        *_marks(chart),
        _curves(chart),
        *_points(chart),
        *([] if chart.has_names_beside else _names_inside(chart)),
        *_x_axis(chart),
        y=chart.above,
        width="100%",
        height=chart.below,
        overflow="visible",
    )
    whole = chart.above + chart.below
    return element("svg", inner, *_markers(chart), width="100%", height=whole, aria_hidden="true")


def _grid(chart: LineChart) -> Iterator[Html]:
    for at, _ in chart.ticks:
        y = _round(chart.down(at))
        yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")


def _untrained(chart: LineChart) -> Iterator[Html]:
    if not chart.untrained:
        return
    x = chart.across(chart.last)
    yield element(
        "rect", x=_percent(x), y=0, width=_percent(1 - x), height=chart.height, fill="url(#untrained)"
    )
    if chart.is_cut:
        for at in (x + (1 - x) / 2, x + (1 - x) / 2 + 0.008):
            middle = element("line", x1=-3, x2=3, y1=5, y2=-5, class_="cut")
            yield element("svg", middle, x=_percent(at), y=chart.height, overflow="visible")
    if chart.untrained >= _ROOM_FOR_NAMES:
        yield from _untrained_words(chart)


def _untrained_words(chart: LineChart) -> Iterator[Html]:
    """Where the lines' names are not."""
    heights = [y for y, _ in _ends(chart)]
    above = sum(heights) >= len(heights) * chart.height / 2
    for row, words in enumerate(chart.untrained_words):
        y = _ROW * (row + 1) if above else chart.height - _ROW * (2 - row) + 6
        yield element("text", words, x="100%", dx=-6, y=y, text_anchor="end", class_="beyond")


def _curves(chart: LineChart) -> Html:
    ordered = sorted(enumerate(chart.thin), key=lambda one: _DEPTHS.get(one[1].look, 1))
    paths = [
        element("path", d=_path(chart, line), class_=f"line {line.look}", data_line=i, data_trial=line.trial)
        for i, line in ordered
    ]
    return element(
        "svg",
        *(_leaders(chart) if chart.has_names_beside else ()),
        *paths,
        width="100%",
        height=chart.height,
        viewBox=f"0 0 {_WIDTH} {chart.height}",
        preserveAspectRatio="none",
    )


def _leaders(chart: LineChart) -> Iterator[Html]:
    """From the ends of lines that end early to their names beside the plot."""
    for y, line in _ends(chart):
        x, end = chart.across(line.xs[-1]), _last(line)
        if x < 0.99 and end is not None:
            path = f"M{_round(x * _WIDTH)} {_round(chart.down(end))}L{_WIDTH} {_round(y)}"
            yield element("path", d=path, class_=f"line leader {line.look}")


def _path(chart: LineChart, line: Line) -> str:
    """Stretches of finite values; one that stands alone is a line of no length, which is drawn as a dot."""
    points = zip(line.xs, line.ys, strict=True)
    stretches = (
        list(part) for is_finite, part in groupby(points, lambda p: math.isfinite(p[1])) if is_finite
    )
    return "".join(_stretch(chart, part) for part in stretches)


def _stretch(chart: LineChart, points: Sequence[tuple[float, float]]) -> str:
    places = [f"{_round(chart.across(x) * _WIDTH)} {_round(chart.down(y))}" for x, y in points]
    return f"M{places[0]}L{' '.join(places[1:] or places)}"


def _marks(chart: LineChart) -> Iterator[Html]:
    for marker in chart.markers:
        x = _percent(chart.across(marker.x))
        yield element("line", x1=x, x2=x, y1=0, y2=chart.height, class_=f"mark {marker.look}")


def _points(chart: LineChart) -> Iterator[Html]:
    for line in chart.lines:
        if line.best is not None and math.isfinite(line.ys[line.best]):
            x, y = chart.across(line.xs[line.best]), chart.down(line.ys[line.best])
            yield element("circle", cx=_percent(x), cy=_round(y), r=4.5, class_=f"best {line.look}")


def _markers(chart: LineChart) -> Iterator[Html]:
    """The names of moments above the plot, each on a line of its own, with a stem down to it."""
    for row, marker in enumerate(sorted(chart.markers, key=lambda marker: _from_top(chart.across(marker.x)))):
        x = chart.across(marker.x)
        dx, side = (-6, "end") if x > _MIDDLE else (6, "start")
        text = element("text", marker.text, x=_percent(x), y=row * _ROW + 11, dx=dx, text_anchor=side)
        stem = element("line", x1=_percent(x), x2=_percent(x), y1=row * _ROW, y2=len(chart.markers) * _ROW)
        yield element("g", stem, text, class_=f"moment {marker.look}")


def _from_top(x: float) -> tuple[bool, float]:
    """Such that no name stands on another's stem, if that can be: it begins below those which go past it."""
    return x > _MIDDLE, -x if x > _MIDDLE else x


def _ends(chart: LineChart) -> list[tuple[float, Line]]:
    """The labelled lines from the top, with the height of their name: no two closer than a line of text."""
    ends = [(chart.down(y), line) for line in chart.lines if line.labelled and (y := _last(line)) is not None]
    ends = sorted(ends, key=lambda end: end[0])[: chart.height // _ROW]
    heights = [end[0] for end in ends]
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + _ROW)
    lowest = chart.height - 2.0
    for i in reversed(range(len(heights))):
        heights[i] = min(heights[i], lowest)
        lowest = heights[i] - _ROW
    return [(height, line) for height, (_, line) in zip(heights, ends, strict=True)]


def _names_inside(chart: LineChart) -> Iterator[Html]:
    for y, line in _ends(chart):
        x = _percent(chart.across(line.xs[-1]))
        yield element("text", line.name, x=x, dx=10, y=_round(y + 4), class_=f"name {line.look}")


def names_beside(chart: LineChart) -> Html:
    """The lines' names right of the plot, as high as what is `below`."""
    names = [
        element("text", _short_name(line.name), x=8, y=_round(y + 4), class_=f"name {line.look}")
        for y, line in _ends(chart)
    ]
    return element("svg", *names, class_="names", height=chart.below, aria_hidden="true")


def _short_name(name: str) -> str:
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[: half - 1]}…{name[-half:]}"


def _x_axis(chart: LineChart) -> Iterator[Html]:
    y = chart.height + _ROW
    yield element("line", x1="0", x2="100%", y1=chart.height, y2=chart.height, class_="base")
    ticks = [
        t for t in Scale(chart.first, max(chart.last, chart.first + 1)).ticks(8) if float(t[0]).is_integer()
    ]
    room = 0.93 if chart.untrained else 1.01
    within = [at for at, _ in ticks if at <= chart.last and chart.across(at) < room]
    for i, at in enumerate(within):
        look = "tick other" if i % 2 and len(within) > _ON_A_PHONE else "tick"
        yield element("text", short(at), x=_percent(chart.across(at)), y=y, class_=look)
    if chart.untrained:
        yield element("text", f"{chart.length:,.0f}", x="100%", y=y, class_="tick last")


def _thin(line: Line, most: int) -> Line:
    kept = thinned(line.ys, most)
    if line.best is not None:
        kept = sorted({*kept, line.best})
    best = None if line.best is None else kept.index(line.best)
    xs, ys = [line.xs[i] for i in kept], [line.ys[i] for i in kept]
    return replace(line, xs=xs, ys=ys, best=best)


def _data(line: Line) -> Mapping[str, Any]:
    """Places that are 1, 2, 3, … are left out."""
    counted = list(line.xs) == list(range(1, len(line.xs) + 1))
    return {"name": line.name, "note": line.note, "y": line.ys, **({} if counted else {"x": line.xs})}


def _last(line: Line) -> float | None:
    return next((y for y in reversed(line.ys) if math.isfinite(y)), None)


def _percent(share: float) -> str:
    return f"{_round(share * 100)}%"


def _round(value: float) -> float | int:
    rounded = round(value, 1)
    return int(rounded) if rounded == int(rounded) else rounded
