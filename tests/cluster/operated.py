"""What tests do with an operator that runs in their own process, and with its TrainJobs."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from testbed.fixtures import serial
from testbed.kubectl import Kubectl

from manifests import manifest
from trainjob_operator.app import Operator, Options
from trainjob_operator.trainjob.plan import Settings
from trainjobs.kube.resources import Key
from trainjobs.kube.transport import Transport

WAIT_S = 60.0
LEASE = Key("trainjobs-system", "trainjobs-operator")
"""The one that the chart lets the operator hold."""


@contextmanager
def running(
    transport: Transport, lease: Key = LEASE, namespaces: tuple[str, ...] = (), port: int = 0
) -> Iterator[Operator]:
    """An operator in threads of this process; its metrics are at a port of 127.0.0.1."""
    options = Options(
        f"operator-{next(serial)}",
        lease,
        Settings("testbed.local/host:1"),
        namespaces,
        host="127.0.0.1",
        metrics_port=port,
        health_port=0,
    )
    operator = Operator(transport, options)
    stop = threading.Event()
    thread = threading.Thread(target=operator.run, args=[stop])
    thread.start()
    try:
        yield operator
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def trainjob(trainer=None, **spec):
    return manifest(trainer={"numNodes": 2, **(trainer or {})}, **spec)


def eventually(holds: Callable[[], bool], what: str, within_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.1)


def state(team: Kubectl) -> str:
    conditions = team.get("tjob/mnist").get("status", {}).get("conditions") or [{}]
    return conditions[0].get("reason", "")


def reaches(team: Kubectl, reason: str) -> None:
    try:
        eventually(lambda: state(team) == reason, reason)
    except AssertionError as error:
        raise AssertionError(
            f"{error}; it is {json.dumps(team.get('tjob/mnist').get('status'), indent=1)}"
        ) from None


def pods(team: Kubectl) -> list[str]:
    return [pod["metadata"]["name"] for pod in team.get("pods")["items"]]


def says(team: Kubectl, **status) -> None:
    """What the run would write."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
    status = {"startTime": now, "training": {"epoch": 7, "step": 70, "lastUpdateTime": now}, **status}
    team(
        "patch",
        "tjob",
        "mnist",
        "--subresource=status",
        "--type=merge",
        f"--patch={json.dumps({'status': status})}",
    )


def trains(team: Kubectl, nodes: int = 2) -> None:
    eventually(lambda: len(pods(team)) == nodes, f"{nodes} pods")
    team.wait("pod", "--all", "--for=condition=Ready")
    says(team)
    reaches(team, "Running")
