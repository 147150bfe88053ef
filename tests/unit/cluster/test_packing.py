import pytest

from manifests import job
from trainjobs.cluster.packing import LARGEST, code_map, is_same_code, manifest_of, packed
from trainjobs.exits import ConfigError


def test_the_python_files_of_a_folder_and_nothing_else(tmp_path):
    (tmp_path / "train.py").write_text("a = 'ü'\n", encoding="utf-8")
    (tmp_path / "data.csv").write_text("1")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/old.py").write_text("")
    assert packed(tmp_path) == {"train.py": "a = 'ü'\n"}


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("train.py", b"\xff", "is not UTF-8"),
        ("tr\u00e4in.py", b"", "rename it"),
        (
            "train.py",
            b"#" * (LARGEST + 1),
            "1,000,001 bytes of Python files, and a ConfigMap holds 1,000,000",
        ),
        ("nets/__init__.py", b"", "is a package, and a ConfigMap holds single files only"),
    ],
)
def test_what_a_config_map_cannot_hold_is_refused_with_the_way_out(tmp_path, file, content, words):
    (tmp_path / "other.py").write_text("")
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        packed(tmp_path)


def test_changed_code_is_another_config_map():
    first, same, other = (code_map("mnist", {"train.py": text}) for text in ("a", "a", "b"))
    assert first == same
    assert first["immutable"]
    assert first["metadata"]["name"] != other["metadata"]["name"]


def test_what_is_made_is_what_was_written_and_no_default():
    metadata = {"labels": {"team": "vision"}, "uid": "1", "resourceVersion": "7"}
    document = manifest_of(job(metadata=metadata), {"metadata": {"name": "mnist-code"}}, "team")
    assert document == {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "mnist", "labels": {"team": "vision"}, "namespace": "team"},
        "spec": {
            "trainer": {
                "entrypoint": "train:train",
                "maxEpochs": 100,
                "code": {"configMap": "mnist-code"},
            }
        },
    }


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"metadata": {"name": "mnist-code-0", "uid": "1", "ownerReferences": []}}, True),
        ({"data": {"train.py": "b"}}, False),
        ({"data": {"train.py": "a", "torch.py": "b"}}, False),
        ({"data": None}, False),
        ({"binaryData": {"torch.py": "YQ=="}}, False),
        ({"immutable": False}, False),
    ],
    ids=str,
)
def test_a_config_map_is_the_same_code_when_it_holds_it_and_nothing_else_for_good(change, same):
    files = code_map("mnist", {"train.py": "a"})
    assert is_same_code({**files, **change}, files) is same
