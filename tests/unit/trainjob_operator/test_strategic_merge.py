import pytest

from trainjob_operator.trainjob.objects.strategic_merge import merged


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
        ({"drop": ["ALL"]}, {"drop": []}, {"drop": ["ALL"]}),
        ({"command": ["python", "-m", "trainjobs.pod"]}, {"command": ["bash", "-c", "x"]},
         {"command": ["bash", "-c", "x"]}),
        ({"volumeMounts": [{"name": "a", "mountPath": "/a"}]},
         {"volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "data", "mountPath": "/models"}]},
         {"volumeMounts": [{"name": "a", "mountPath": "/a"}, {"name": "data", "mountPath": "/data"},
                           {"name": "data", "mountPath": "/models"}]}),
        ({"volumeMounts": [{"name": "a", "mountPath": "/a"}]}, {"volumeMounts": [{"name": "b", "mountPath": "/a"}]},
         {"volumeMounts": [{"name": "b", "mountPath": "/a"}]}),
        ({"env": [{"name": "A", "value": "1"}]}, {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]},
         {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]}),
        ({"volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]},
         {"volumes": [{"name": "m", "emptyDir": {"sizeLimit": "1Gi"}}]},
         {"volumes": [{"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}]}),
        ({"volumes": [{"name": "m", "emptyDir": {}}]}, {"volumes": [{"name": "m", "hostPath": {}}]},
         {"volumes": [{"name": "m", "hostPath": {}}]}),
        ({"tolerations": []}, {"tolerations": [{"key": "a", "effect": "x"}, {"key": "a", "effect": "y"}]},
         {"tolerations": [{"key": "a", "effect": "x"}, {"key": "a", "effect": "y"}]}),
        ({"containers": [{"name": "a"}]}, {"containers": "nonsense"}, {"containers": "nonsense"}),
    ],
)  # fmt: skip
def test_theirs_wins_and_named_items_are_merged(ours, theirs, expected):
    assert merged(ours, theirs) == expected
