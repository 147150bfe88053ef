"""What all pages are made of: figures, tables, lists of names and values, the settings of a run."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, TypeAlias

from trainjobs.stopping.wording import number
from trainjobs.views.page import document, line_chart
from trainjobs.views.page.line_chart import LineChart
from trainjobs.views.page.markup import NOTHING, Html, data_block, element, together

LONGEST_VALUE = 400
"""Characters of a setting that are shown."""


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number that is to be seen first, with its name and what belongs to it."""

    name: str
    amount: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class TableCell:
    """One cell, whose text may be sorted as a number."""

    text: Html | str
    look: str | None = None
    sort: float | None = None


Cells: TypeAlias = list[TableCell | str]


@dataclass(frozen=True, slots=True)
class TableRow:
    """A row of cells."""

    cells: Cells
    look: str | None = None
    trial: int | None = None
    """The number in the page's data of the trial that it tells of."""


def measured(value: float, text: str | None = None, look: str = "n") -> TableCell:
    """A number's cell; empty for NaN."""
    shown = "" if math.isnan(value) else number(value)
    return TableCell(shown if text is None else text, look, value)


def top(name: str, outcome: str, why: str | None, *, bad: bool = False) -> Html:
    """The title of a page: what it is about, what came of it, and why."""
    return element(
        "header",
        element("h1", name),
        element("p", outcome, class_="outcome bad" if bad else "outcome"),
        element("p", why, class_="why") if why else NOTHING,
    )


def key_figures(figures: Iterable[KeyFigure]) -> Html:
    """The numbers below the title."""
    return element("dl", *map(_key_figure, figures), class_="figures")


def _key_figure(one: KeyFigure) -> Html:
    return element(
        "div",
        element("dt", one.name),
        element("dd", element("span", one.amount, class_="big"), element("span", one.beside, class_="small")),
    )


def section(title: str, *parts: Html, hint: str = "") -> Html:
    """A part of a page under its title."""
    return element(
        "section", element("h2", title), element("p", hint, class_="hint") if hint else NOTHING, *parts
    )


def table(heads: Cells, rows: Iterable[TableRow], look: str | None = None) -> Html:
    """A table whose first cell in each row names it."""
    head = element("thead", element("tr", *(_cell("th", cell, scope="col") for cell in heads)))
    body = element("tbody", *map(_row, rows))
    return element("div", element("table", head, body, class_=look), class_="scroll", tabindex=0)


def _row(row: TableRow) -> Html:
    first, *others = row.cells
    cells = (_cell("th", first, scope="row"), *(_cell("td", cell) for cell in others))
    return element("tr", *cells, class_=row.look, data_trial=row.trial)


def _cell(name: str, cell: TableCell | str, **attributes: str) -> Html:
    if not isinstance(cell, TableCell):
        return element(name, cell, **attributes)
    sort = None if cell.sort is None else f"{cell.sort:.12g}"
    return element(name, cell.text, class_=cell.look, data_sort=sort, **attributes)


def pairs(given: Iterable[tuple[str, Html | str]]) -> Html:
    """Names and what they stand for."""
    parts = [element(kind, part) for name, value in given for kind, part in (("dt", name), ("dd", value))]
    return element("dl", *parts, class_="pairs")


def more(title: str, *parts: Html) -> Html:
    """What is shown on demand."""
    return element("details", element("summary", title), *parts)


def settings(config: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as paths and values."""
    return dict(_flat(config, ""))


def _flat(config: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", setting(value)


def setting(value: Any) -> str:
    """A setting's value in a line."""
    if isinstance(value, float):
        return number(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def page(title: str, parts: Iterable[Html], charts: Sequence[LineChart], now: datetime | None = None) -> str:
    """The whole file; `charts` are those whose figures are among the parts, in the order of their numbers."""
    when = (now or datetime.now(UTC)).strftime("%-d %B %Y, %H:%M UTC")
    foot = element("footer", f"Written by trainjobs {version('trainjobs')} on {when}.")
    data = data_block({"charts": [chart.data for chart in charts]})
    return document.document(title, together([*parts, foot]), data)


def figures_of(charts: Sequence[LineChart]) -> list[Html]:
    """The charts, numbered as `page` expects it."""
    return [line_chart.drawn(chart, i) for i, chart in enumerate(charts)]
