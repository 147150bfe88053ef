"""The frame of a page: one file, which asks no other place for anything and lets nothing but its own script run."""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from string import Template

from trainjobs.views.page.markup import Html, element

MARK = '<meta name="generator" content="trainjobs report">'
"""Stands near the beginning of every page."""


def document(title: str, body: Html, data: Html) -> str:
    """The whole file.

    Args:
        data: what `markup.data_block` made for the script.
    """
    style, script = style_of_charts() + _file("page.css"), _file("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    return Template(_file("page.html")).substitute(
        mark=MARK,
        policy=policy,
        title=element("title", title).text,
        style=style,
        body=body.text,
        data=data.text,
        script=script,
    )


def style_of_charts() -> str:
    """The colours, light and dark, and how lines and words of a chart look; for pictures that stand alone, too."""
    return _file("chart.css")


@cache
def _file(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """By which a policy allows a style or a script that stands in the page."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
