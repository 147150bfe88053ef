"""The frame of a page, and the colours of its style."""

import re
from importlib.resources import files

import pytest
from page_reader import read_page

from trainjobs.views.page import document
from trainjobs.views.page.markup import Html, data_block

STYLE = document.style_of_charts() + (files(document.__package__) / "page.css").read_text()
THEMES = dict(zip(("light", "dark"), re.findall(r":root\{(.*?)\}", STYLE, re.DOTALL), strict=True))
WRITTEN = ("ink", "quiet", "accent", "bad", "one", "two", "three", "four", "five", "six")
DRAWN = ("mid",)


def colours(theme):
    return dict(re.findall(r"--(\w+):(#\w+)", THEMES[theme]))


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """As WCAG 2 defines it, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("paper", ["paper", "soft"])
def test_what_is_written_or_drawn_can_be_told_from_the_paper(theme, paper):
    known = colours(theme)
    assert [name for name in WRITTEN if contrast(known[name], known[paper]) < 4.5] == []
    assert [name for name in DRAWN if contrast(known[name], known[paper]) < 2.8] == []


def test_both_themes_have_every_colour():
    assert set(colours("light")) == set(colours("dark")) == set(re.findall(r"var\(--(\w+)\)", STYLE))


def test_a_page_is_known_by_its_first_thousand_characters():
    page = document.document("a title & more", Html("<p>$style</p>"), data_block({}))
    assert document.MARK in page[:1000]
    assert page.startswith("<!DOCTYPE html>")
    assert "<p>$style</p>" in page
    assert read_page(page).tags.count("title") == 1
