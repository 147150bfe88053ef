"""Answers are decoded as `json` decodes them, but for what it cannot."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainjobs.kube.decoding import DEEPEST, decoded

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)


def plain(value):
    return {name: list(each) if name == "items" else each for name, each in value.items()}


@given(
    st.dictionaries(st.text(), JSON), st.lists(JSON, max_size=4), st.sampled_from((None, 1)), st.booleans()
)
def test_it_decodes_what_json_decodes(others, items, indent, ascii_only):
    whole = {**others, "items": items, "metadata": {"resourceVersion": "1"}}
    text = json.dumps(whole, indent=indent, ensure_ascii=ascii_only)
    assert plain(decoded(text.encode())) == whole


@pytest.mark.parametrize(
    "tail", ['"metadata": {"finalizers": ["]"]}', '"metadata": {"continue": "]}"}', '"a": "]"']
)
def test_it_finds_the_end_of_the_items_also_where_it_is_not_the_last_bracket(tail):
    text = '{"items": [{"a": ["]}"]}, [1]], %s}' % tail  # noqa: UP031 - braces
    assert plain(decoded(text.encode())) == json.loads(text)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"a": 1', '{"a" 1}', '{"items": [1', "\xff"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError, match=r"JSON|expected|Expecting|ends early|codec|delimiter"):
        plain(decoded(text.encode("latin-1")))


def deep(levels, middle='"}{]["'):
    return '{"a":' * levels + middle + "}" * levels


@pytest.mark.parametrize("levels", [1200, 9990])
def test_an_object_deeper_than_python_decodes_hides_no_other(levels):
    text = '{"items": [{"name": "a"}, {"name": "b", "odd": %s, "last": 1}, {"name": "c"}], "metadata": {}}'
    first, odd, last = decoded((text % deep(levels)).encode())["items"]
    assert (first, last) == ({"name": "a"}, {"name": "c"})
    assert (odd["name"], odd["last"]) == ("b", 1)
    alone = decoded(deep(levels).encode())
    for _ in range(DEEPEST - 2):
        alone = alone["a"]
    assert alone["a"]


def test_of_a_long_list_one_item_at_a_time_is_in_memory():
    item = json.dumps({f"key-{number}": number for number in range(20_000)})
    data = ('{"items": [' + ",".join([item] * 20) + "]}").encode()
    tracemalloc.start()
    try:
        assert sum(len(each) for each in decoded(data)["items"]) == 20 * 20_000
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4 * len(data)
