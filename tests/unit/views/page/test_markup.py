"""Whatever a text holds, it stays text."""

from hypothesis import given
from hypothesis import strategies as st
from page_reader import data_of, read_page

from trainjobs.views.page.markup import Html, data_block, element
from trainjobs.views.printable import printable

TEXTS = st.text() | st.sampled_from(
    ["</script><script>alert(1)</script>", "\"'><img src=x onerror=x>", "<!--", "&lt;"]
)


@given(TEXTS)
def test_a_text_is_the_same_text_in_an_element_and_in_an_attribute(text):
    page = read_page(element("p", text, title=text).text)
    assert page.elements == [("p", {"title": printable(text)})]
    assert "".join(page.texts) == printable(text).replace("\r", "\n")


@given(TEXTS)
def test_a_text_in_the_data_of_a_script_ends_no_script(text):
    page = data_block({text: [text, float("nan")]}).text
    assert read_page(page).tags == ["script"]
    assert data_of(page) == {text: [printable(text), "nan"]}


def test_names_of_attributes_are_written_as_html_has_them():
    made = element("g", Html("<i></i>"), class_="a", stroke_width=2, hidden=None)
    assert made.text == '<g class="a" stroke-width="2"><i></i></g>'
