from pathlib import Path

import pytest

from trainjobs.cli.cluster.place import Place

CONFIG = """{apiVersion: v1, kind: Config, current-context: lab,
clusters: [{name: lab, cluster: {server: "http://127.0.0.1:9"}}], users: [{name: me, user: {}}],
contexts: [{name: lab, context: {cluster: lab, user: me}}]}"""


@pytest.mark.parametrize(
    ("run", "place", "configured", "in_cluster"),
    [
        ("mnist", Place(), True, False),  # a run of that name is here
        ("runs/mnist", Place(), True, False),
        ("other", Place(), True, True),
        ("other", Place(), False, False),
        ("runs/other", Place(), True, False),  # a path is no TrainJob's name
        ("trainsweep/tuned", Place(), True, True),
        ("tsweep/tuned", Place(), True, True),
        ("tjob/mnist", Place(), True, True),
        ("tsweep/tuned", Place(), False, False),
        ("mnist", Place(namespace="team"), True, True),
        ("mnist", Place(context="lab"), False, True),
    ],
)
def test_a_name_is_a_run_here_or_a_trainjob(tmp_path, monkeypatch, run, place, configured, in_cluster):
    (tmp_path / "runs/mnist").mkdir(parents=True)
    if configured:
        (tmp_path / "config").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert place.holds(Path(run)) is in_cluster
