"""Dots: one number against another, or against a choice, for many trials; small, to stand beside others."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from trainjobs.views.page.markup import Html, element
from trainjobs.views.page.scale import Scale

HEIGHT = 150
ROOM = 32
"""Characters below the axis, all choices together."""
_ROW = 17
_INSET = 0.05
"""Share of the width left free at both sides."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One trial."""

    x: float | str
    """A number, or a choice in words."""
    y: float
    look: str
    which: int
    """The trial's number in the page's data."""


@dataclass(frozen=True)
class DotChart:
    """Dots over one parameter; those whose y is NaN or infinite are left out."""

    title: str
    dots: Sequence[Dot]
    scale: Scale
    """The y axis, which charts side by side share."""
    log: bool | None = None
    """Whether x is logarithmic; None: if the values span so much."""
    told: str = ""

    @cached_property
    def _choices(self) -> list[str] | None:
        """The places on x where they are words: numbers first, in their order."""
        if all(isinstance(dot.x, int | float) for dot in self.dots):
            return None
        return sorted({str(dot.x) for dot in self.dots}, key=_numbers_first)

    @cached_property
    def _axis(self) -> Scale:
        return Scale.of((dot.x for dot in self.dots if not isinstance(dot.x, str)), log=self.log)

    def across(self, x: float | str) -> float:
        """Where x lies, 0 to 1."""
        if self._choices is None:
            return _INSET + (1 - 2 * _INSET) * self._axis.share(float(x))
        return (self._choices.index(str(x)) + 0.5) / len(self._choices)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Places on x, 0 to 1, with their words."""
        if self._choices is None:
            yield from ((self.across(at), label) for at, label in self._axis.ticks(4))
        else:
            room = max(1, ROOM // len(self._choices))
            yield from ((self.across(choice), _cut(choice, room)) for choice in self._choices)


def drawn(chart: DotChart) -> Html:
    """The chart as a figure."""
    ticks = [
        element("text", label, x=_percent(at), y=HEIGHT + _ROW, class_="tick") for at, label in chart.ticks()
    ]
    base = element("line", x1="0", x2="100%", y1=HEIGHT, y2=HEIGHT, class_="base")
    plot = element(
        "svg", *_grid(chart.scale), base, *_dots(chart), *ticks,
        width="100%", height=HEIGHT + _ROW + 8, aria_hidden="true",
    )  # fmt: skip
    inside = element("div", plot, class_="plot dots", role="img", aria_label=chart.told)
    return element(
        "figure", element("figcaption", chart.title), element("div", _y(chart.scale), inside, class_="chart")
    )


def _y(scale: Scale) -> Html:
    ticks = [
        element("text", label, x="100%", y=round((1 - scale.share(at)) * HEIGHT + 4, 1))
        for at, label in scale.ticks(4)
    ]
    return element("svg", *ticks, class_="axis", height=HEIGHT + _ROW + 8, aria_hidden="true")


def _grid(scale: Scale) -> Iterator[Html]:
    for at, _ in scale.ticks(4):
        y = round((1 - scale.share(at)) * HEIGHT, 1)
        yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")


def _dots(chart: DotChart) -> Iterator[Html]:
    """The best last, on top."""
    shown = [dot for dot in chart.dots if math.isfinite(dot.y)]
    for dot in sorted(shown, key=lambda dot: "accent" in dot.look):
        y = round((1 - chart.scale.share(dot.y)) * HEIGHT, 1)
        yield element(
            "circle", cx=_percent(chart.across(dot.x)), cy=y, r=4, class_=dot.look, data_trial=dot.which
        )


def _percent(share: float) -> str:
    return f"{round(share * 100, 2):g}%"


def _numbers_first(choice: str) -> tuple[float, str]:
    try:
        return float(choice), choice
    except ValueError:
        return math.inf, choice


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: max(1, room - 1)]}…"
