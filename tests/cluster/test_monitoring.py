"""What Prometheus makes of the operator: alerts, the dashboard's queries, counters over a restart.

The alerts' times are for people. `promtool` plays them by the minute; a real Prometheus has them SHORTER times shorter,
and scrapes what the PodMonitor describes.
"""

import json
import math
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from installed import CHART, port_of
from operated import eventually, running, says, trainjob, trains
from prometheus_client import CollectorRegistry
from sweep_manifests import sweep_manifest
from testbed import processes
from testbed.fakenodes import FakeNodes
from testbed.fixtures import require
from testbed.helm import Helm
from testbed.kubectl import Kubectl

from trainjob_operator.core.health import PageServer, metrics
from trainjob_operator.trainjob.metrics import Metrics
from trainjobs.kube.transport import HttpTransport

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
QUERIES = {target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
SHORTER = 100
SECONDS = {"s": 1, "m": 60, "h": 3600}
MODEL = "monitored"
"""Kind of model that tells this file's TrainJob from those of other tests."""
OF_THE_POD = {"namespace": "trainjobs-system", "pod": "trainjobs-operator-a", "container": "operator"}
"""Labels that the Prometheus operator gives whatever a pod exposes:
https://github.com/prometheus-operator/prometheus-operator/blob/v0.85.0/pkg/prometheus/promcfg.go."""
COUNTED = f'trainjobs_early_stop_events_total{{model_type="{MODEL}",strategy="nonFinite"}}'


def test_alerts_fire_when_they_should_and_are_silent_otherwise(tmp_path: Path):
    require("prometheus")
    for file in (ALERTS, Path(__file__).with_name("alerts.test.yaml")):
        shutil.copy(file, tmp_path)
    command = ["promtool", "test", "rules", "alerts.test.yaml"]
    played = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stdout + played.stderr


class Prometheus:
    """One that runs; see https://prometheus.io/docs/prometheus/latest/querying/api."""

    def __init__(self, port: int) -> None:
        self.port = port

    def values(self, query: str) -> list[float]:
        """What a query returns now: finite values."""
        asked = urllib.parse.urlencode({"query": query})
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?{asked}") as answer:
            found = json.load(answer)["data"]["result"]
        return [value for each in found if math.isfinite(value := float(each["value"][1]))]

    def alerts(self) -> list[dict[str, str]]:
        """Labels of each alert that fires."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/api/v1/alerts") as answer:
            alerts = json.load(answer)["data"]["alerts"]
        return [each["labels"] for each in alerts if each["state"] == "firing"]

    def firing(self) -> set[str]:
        """Names of alerts."""
        return {labels["alertname"] for labels in self.alerts()}

    def fires(self, alert: str) -> None:
        eventually(lambda: alert in self.firing(), alert)


class Gate:
    """The operator's connection; while it is shut requests hang, but not those for the Lease."""

    def __init__(self, transport: HttpTransport) -> None:
        self.transport = transport
        self.is_open = threading.Event()
        self.is_open.set()

    def request(self, method: str, path: str, *rest: Any, **named: Any) -> Any:
        if "leases" not in path:
            self.is_open.wait()
        return self.transport.request(method, path, *rest, **named)

    def stream(self, *arguments: Any) -> Any:
        return self.transport.stream(*arguments)


def shortened(rules: str) -> str:
    """The same rules with shorter times."""

    def short(found: re.Match[str]) -> str:
        return f"{int(found[1]) * SECONDS[found[2]] * 1000 // SHORTER}ms"

    return re.sub(r"(?<=[\[ ])(\d+)([smh])(?=\]|$)", short, rules, flags=re.MULTILINE)


@contextmanager
def scraping(port: int, monitor: dict[str, Any], directory: Path) -> Iterator[Prometheus]:
    """A Prometheus that scrapes an operator at a port as its PodMonitor says, but more often."""
    (endpoint,) = monitor["podMetricsEndpoints"]
    target = {"targets": [f"127.0.0.1:{port}"], "labels": OF_THE_POD}
    job = {"job_name": "trainjobs", "metrics_path": endpoint["path"], "static_configs": [target],
           "honor_labels": endpoint.get("honorLabels", False)}  # fmt: skip
    often = {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"}
    config = {"global": often, "rule_files": ["alerts.yaml"], "scrape_configs": [job]}
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    (directory / "alerts.yaml").write_text(shortened(ALERTS.read_text()))
    own = free_port()
    options = (
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/data",
        f"--web.listen-address=127.0.0.1:{own}",
    )
    process = processes.start("prometheus", ["prometheus", *options], directory)
    try:
        process.wait_ready(processes.answers(f"http://127.0.0.1:{own}/-/ready"), 30)
        yield Prometheus(own)
    finally:
        process.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return port_of(taken)


@pytest.fixture
def monitor(helm: Helm) -> dict[str, Any]:
    """The chart's PodMonitor."""
    text = helm("template", "trainjobs", str(CHART), "--set=podMonitor.enabled=true")
    (item,) = (each for each in yaml.safe_load_all(text) if each and each["kind"] == "PodMonitor")
    spec: dict[str, Any] = item["spec"]
    return spec


def test_an_alert_names_the_namespace_of_the_run_and_another_of_its_name_does_not_hide_it(
    monitor: dict[str, Any], tmp_path: Path
):
    require("prometheus")
    registry = CollectorRegistry()
    Metrics(registry).watch(lambda: [trains_since("silent", 1), trains_since("lively", time.time())])
    server = PageServer(("127.0.0.1", 0), metrics(registry))
    server.start()
    try:
        with scraping(server.port, monitor, tmp_path) as prometheus:
            prometheus.fires("TrainJobMakesNoProgress")
            (labels,) = (a for a in prometheus.alerts() if a["alertname"] == "TrainJobMakesNoProgress")
            assert (labels["namespace"], labels["trainjob"]) == ("silent", "mnist")
    finally:
        server.stop()


def trains_since(namespace: str, said_at: float) -> dict[str, Any]:
    """A TrainJob mnist that runs and was last heard of at that time."""
    when = datetime.fromtimestamp(said_at, UTC).isoformat()
    return {
        "metadata": {"namespace": namespace, "name": "mnist"},
        "spec": {},
        "status": {
            "conditions": [{"type": "Running", "status": "True", "reason": "Running"}],
            "training": {"lastUpdateTime": when},
        },
    }


def test_prometheus_sees_a_run_and_its_stop_and_no_restart_counts_it_again(
    gpus: Kubectl, nodes: FakeNodes, shipped: HttpTransport, monitor: dict[str, Any], tmp_path: Path
):
    require("prometheus")
    gate, port = Gate(shipped), free_port()
    with scraping(port, monitor, tmp_path) as prometheus:
        with running(gate, port=port):
            gpus.create(sweep_manifest(suspend=True))
            labels = {"labels": {"trainjobs.dev/model-type": MODEL}}
            stopping = {"monitor": "val_loss", "criteria": [{"plateau": {"patience": 3}}]}
            gpus.create(trainjob(metadata=labels, stopping=stopping, progressDeadlineSeconds=1))
            trains(gpus)
            prometheus.fires("TrainJobMakesNoProgress")
            shown = QUERIES - lacking(prometheus)
            assert "TrainJobRestartsOften" not in prometheus.firing()
            reported(gpus, restarts=5)
            prometheus.fires("TrainJobRestartsOften")
            eventually(lambda: prometheus.values(COUNTED) == [0], "a stop would be an increase")
            stop = {"criterion": "plateau", "reason": "val_loss is nan", "value": "nan"}
            reported(gpus, stopping=stop, accounting={"gpuSecondsUsed": 1, "secondsSaved": 1})
            nodes.finish(gpus, "--selector=batch.kubernetes.io/job-completion-index=0")
            gpus.wait("tjob/mnist", "--for=condition=Complete")
            prometheus.fires("TrainJobsStoppedAtNaN")
            assert prometheus.values(COUNTED) == [1]
            eventually(lambda: not lacking(prometheus) - shown, "data for each panel")
            assert (
                not {"TrainJobsOperatorNotLeading", "TrainJobsOperatorNotReconciling"} & prometheus.firing()
            )
            counted_at = time.time()
        prometheus.fires("TrainJobsOperatorNotLeading")
        with running(gate, port=port):
            eventually(lambda: prometheus.values(COUNTED) in ([], [0]), "begun at 0")
            seen = 'sum(controller_runtime_reconcile_total{controller="trainjob"}) > 0'
            eventually(lambda: bool(prometheus.values(seen)), "a pass over what has ended")
            window = f"[{int(time.time() - counted_at)}s]"
            for name in ("early_stop_events_total", "ended_total"):
                assert set(prometheus.values(f"increase(trainjobs_{name}{window})")) <= {0.0}
            eventually(lambda: "TrainJobsOperatorNotLeading" not in prometheus.firing(), "it leads again")
            gate.is_open.clear()
            try:
                gpus.create(trainjob(metadata={"name": "hangs"}))
                prometheus.fires("TrainJobsOperatorNotReconciling")
            finally:
                gate.is_open.set()
            eventually(lambda: "TrainJobsOperatorNotReconciling" not in prometheus.firing(), "it works again")


def lacking(prometheus: Prometheus) -> set[str]:
    """The dashboard's queries that return nothing."""
    return {query for query in QUERIES if not prometheus.values(query)}


def reported(team: Kubectl, **status: Any) -> None:
    """The run writes more."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    best = {"metric": "val_loss", "value": "0.5", "epoch": 3}
    says(team, training={"epoch": 7, "step": 70, "lastUpdateTime": now, "best": best}, **status)
