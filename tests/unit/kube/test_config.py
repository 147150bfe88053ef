"""Which cluster and namespace a command works in."""

import json

import pytest

from trainjobs.exits import ConfigError
from trainjobs.kube.config import cluster


def kubeconfig(current, **namespaces):
    """Contexts by name, each with its namespace and a cluster at https://<name>."""
    contexts = [
        {"name": name, "context": {"cluster": name, **({"namespace": namespace} if namespace else {})}}
        for name, namespace in namespaces.items()
    ]
    clusters = [{"name": name, "cluster": {"server": f"https://{name}"}} for name in namespaces]
    current = {"current-context": current} if current else {}
    return json.dumps(
        {"apiVersion": "v1", "contexts": contexts, "clusters": clusters, "users": [], **current}
    )


@pytest.fixture
def files(tmp_path):
    (tmp_path / "home/.kube").mkdir(parents=True)
    (tmp_path / "home/.kube/config").write_text(kubeconfig("house", house="living"))
    (tmp_path / "a").write_text(kubeconfig("one", one="", two="team"))
    (tmp_path / "b").write_text(kubeconfig("", three="others"))
    (tmp_path / "empty").write_text("")
    (tmp_path / "list").write_text("[1, 2]")
    (tmp_path / "word").write_text("contexts: word")
    (tmp_path / "broken").write_text("{contexts: [")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.fixture
def found(files, monkeypatch):
    """`found(file, context, KUBECONFIG)`: host and namespace."""
    monkeypatch.setenv("HOME", str(files / "home"))

    def find(file="", context="", variable=""):
        listed = ":".join(str(files / name) for name in variable.split(":") if name)
        known = cluster(file and str(files / file), context, {"KUBECONFIG": listed})
        return known.transport.url, known.namespace

    return find


@pytest.mark.parametrize(
    ("asked", "host", "namespace"),
    [
        ({}, "house", "living"),
        ({"file": "a"}, "one", "default"),
        ({"file": "a", "variable": "b"}, "one", "default"),
        ({"file": "a", "context": "two"}, "two", "team"),
        ({"file": "b", "context": "three"}, "three", "others"),
        ({"variable": "a:b", "context": "three"}, "three", "others"),
        ({"variable": "b:a"}, "one", "default"),
        ({"variable": "missing:a"}, "one", "default"),
    ],
)
def test_kubectl_would_work_in_the_same(found, asked, host, namespace):
    assert found(**asked) == (f"https://{host}", namespace)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"file": "missing"}, "missing is not there"),
        ({"variable": "missing"}, "missing is not there"),
        ({"file": "a", "context": "nine"}, "nine"),
        ({"file": "b"}, "current-context"),
        *(({"file": name}, name) for name in ("empty", "list", "word", "broken", "binary", "folder")),
    ],
)
def test_a_cluster_that_cannot_be_found_is_said_in_one_error(found, asked, said):
    with pytest.raises(ConfigError, match=said):
        found(**asked)


def test_without_any_file_there_is_no_cluster_outside_of_a_pod(found, files):
    (files / "home/.kube/config").unlink()
    with pytest.raises(ConfigError, match="config is not there"):
        found()


def test_a_certificate_is_looked_for_beside_its_kubeconfig_file(found, files):
    text = (files / "b").read_text()
    (files / "b").write_text(text.replace('"server"', '"certificate-authority": "ca.crt", "server"'))
    with pytest.raises(ConfigError, match=str(files / "ca.crt")):
        found("b", "three")


def test_a_pod_that_was_given_no_token_has_no_cluster(files, monkeypatch):
    monkeypatch.setenv("HOME", str(files))
    with pytest.raises(ConfigError, match="this pod has no access to its cluster"):
        cluster(environment={"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"})
