"""Markup, told apart from text by its type: text is escaped on its way into it, and nowhere else."""

import html
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainjobs.views.printable import printable


@dataclass(frozen=True, slots=True)
class Html:
    """Markup. Made by `element` and `together`; a literal one holds nothing that anybody else wrote."""

    text: str


NOTHING = Html("")


def element(name: str, *children: Html | str, **attributes: str | float | None) -> Html:
    """An element with its end tag; text among its children and the attributes' values are escaped.

    Args:
        attributes: by name, with `_` for `-` and a trailing one for Python's own words, as in `class_`. None: left out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>{together(children).text}</{name}>")


def together(parts: Iterable[Html | str]) -> Html:
    """One after the other."""
    return Html("".join(part.text if isinstance(part, Html) else _escaped(part) for part in parts))


def data_block(value: Any) -> Html:
    """Data for the page's script, which no browser runs. NaN and infinity are "nan", "inf" and "-inf"."""
    text = json.dumps(_plain(value), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="data">{text}</script>')


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, Sequence) else value
