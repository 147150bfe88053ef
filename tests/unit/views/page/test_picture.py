"""Charts in a file of their own."""

from xml.etree import ElementTree

from trainjobs.views.page.document import style_of_charts
from trainjobs.views.page.line_chart import Line, LineChart, Marker
from trainjobs.views.page.picture import picture

SVG = "{http://www.w3.org/2000/svg}"


def chart(**fields):
    return LineChart("<loss> & more", "epoch", [Line("val", [1, 2, 3], [3.0, 1.0, 2.0], "accent")], **fields)


def drawn(*charts, words=()):
    return ElementTree.fromstring(picture(charts, "a < b", words))  # noqa: S314 (our own)


def test_a_picture_is_a_file_that_says_what_it_shows_and_brings_its_colours():
    whole = drawn(chart())
    assert whole.find(f"{SVG}title").text == "a < b"
    assert whole.find(f"{SVG}style").text.startswith(style_of_charts())
    assert "prefers-color-scheme:dark" in whole.find(f"{SVG}style").text
    assert "<loss> & more" in {text.text for text in whole.iter(f"{SVG}text")}


def test_charts_lie_below_each_other_and_words_below_them():
    marked = chart(markers=[Marker(2, "best", "best"), Marker(3, "stop", "stop")])
    whole = drawn(marked, chart(height=40), words=["one line", "another"])
    tops = [float(text.get("y")) for text in whole.findall(f"{SVG}text")]
    assert tops == sorted(tops)
    assert len(tops) == 4
    first, second = (part for part in whole.findall(f"{SVG}svg") if part.get("x") and not part.get("height"))
    assert float(second.get("y")) - float(first.get("y")) > marked.above + marked.below
    assert tops[-1] < float(whole.get("height"))


def test_a_low_chart_still_has_numbers():
    assert len(chart(height=40).ticks) >= 2
