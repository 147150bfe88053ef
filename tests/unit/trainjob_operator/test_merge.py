import pytest

from trainjob_operator.merge import merged


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": {"x": 1, "y": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": 1}, {"a": None}, {"a": None}),
        (
            {"containers": [{"name": "trainer", "image": "i"}]},
            {"containers": [{"name": "trainer", "tty": True}, {"name": "sidecar"}]},
            {"containers": [{"name": "trainer", "image": "i", "tty": True}, {"name": "sidecar"}]},
        ),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "value": "2"}]},
         {"env": [{"name": "A", "value": "2"}]}),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]},
         {"tolerations": [{"key": "a"}, {"key": "b"}]}),
        ({"drop": ["ALL"]}, {"drop": ["ALL", "X"]}, {"drop": ["ALL", "X"]}),
    ],
)  # fmt: skip
def test_theirs_wins_and_named_items_are_merged(ours, theirs, expected):
    assert merged(ours, theirs) == expected
