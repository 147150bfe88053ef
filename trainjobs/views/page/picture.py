"""Charts below each other in one file of SVG, for pages that are not ours."""

from collections.abc import Iterator, Sequence
from itertools import accumulate

from trainjobs.views.page import line_chart
from trainjobs.views.page.document import style_of_charts
from trainjobs.views.page.line_chart import LineChart
from trainjobs.views.page.markup import NOTHING, Html, element

WIDTH = 760
"""Pixels."""
_LEFT, _RIGHT = 62, 142
"""Pixels beside a plot, for numbers and for names."""
_EDGE = 14
"""Pixels around everything."""
_TITLE, _ROW = 24, 17
"""Pixels of a chart's title, and of a line of text."""
_STYLE = (
    'svg{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}'
    ".paper{fill:var(--paper);stroke:var(--rule)}.title{font-size:13px;font-weight:600;fill:var(--ink)}"
    "svg svg{overflow:visible}.line.pale{stroke-opacity:.35}.line.hidden{stroke:none}"
)


def picture(charts: Sequence[LineChart], told: str, words: Sequence[str] = ()) -> str:
    """The file. It has a background of its own, light or dark as the reader likes it.

    Args:
        told: what it shows, for those who do not see it.
        words: lines of text below.
    """
    *tops, end = accumulate((_height(chart) for chart in charts), initial=_EDGE)
    height = end + len(words) * _ROW + _EDGE
    said = [
        element("text", line, x=_EDGE, y=end + _ROW * i + 6, class_="said") for i, line in enumerate(words)
    ]
    whole = element(
        "svg",
        element("title", told),
        element("style", Html(style_of_charts() + _STYLE)),
        element("rect", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx=6, class_="paper"),
        *(part for top, chart in zip(tops, charts, strict=True) for part in _placed(chart, top)),
        *said,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height}",
        width=WIDTH,
        height=height,
        role="img",
    )
    return whole.text + "\n"


def _height(chart: LineChart) -> int:
    return _TITLE + chart.above + chart.below + _EDGE


def _placed(chart: LineChart, top: int) -> Iterator[Html]:
    plot, axis = top + _TITLE, top + _TITLE + chart.above
    width = WIDTH - _LEFT - _RIGHT
    yield element("text", chart.title, x=_EDGE, y=top + 12, class_="title")
    yield element("svg", line_chart.y_axis(chart), y=axis, width=_LEFT, height=chart.below)
    yield element("svg", line_chart.plotted(chart), x=_LEFT, y=plot, width=width)
    names = line_chart.names_beside(chart) if chart.has_names_beside else NOTHING
    yield element("svg", names, x=_LEFT + width, y=axis, width=_RIGHT, height=chart.below)
