"""`python -m trainjob_operator.selftest`: whether an installation works, step by step; `helm test` runs it.

The TrainJob that it makes is to stop before it starts: the operator ends it without a pod, and it is deleted.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from collections.abc import Callable
from typing import Final
from uuid import uuid4

from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import TRAINJOBS, Key, Object
from trainjobs.kube.transport import ApiError, TransportError, connect

PATIENCE_S: Final = 120.0
"""Seconds for the operator to take up a TrainJob: it may just have been installed."""
POLICY_S: Final = 15.0
"""Seconds for a network plugin to obey a NetworkPolicy that was there before its pod."""
_PRIVILEGE: Final = {"capabilities": {"add": ["OF_NO_KERNEL"]}}
"""Refused whatever capabilities the administrator allows."""


class CheckError(Exception):
    """What does not work."""


def main() -> int:
    """0: all works. 1: the last line says what does not."""
    parser = argparse.ArgumentParser(prog="trainjob_operator.selftest", description=__doc__)
    parser.add_argument("--kubeconfig", help="cluster to work in (default: the one this pod is in)")
    parser.add_argument("--namespace", required=True, help="one that the operator looks after")
    parser.add_argument(
        "--open", type=_address, help="host:port that a NetworkPolicy leaves open to this check"
    )
    parser.add_argument("--closed", type=_address, help="host:port of the same pod that it closes")
    arguments = parser.parse_args()
    client = KubeClient(connect(arguments.kubeconfig))
    try:
        refuses(client, _trainjob(arguments.namespace, {"maxEpochs": 0}), "spec.trainer.maxEpochs")
        _say("the API server refuses an invalid TrainJob")
        privileged = {"spec": {"containers": [{"name": "trainer", "securityContext": _PRIVILEGE}]}}
        refuses(client, _trainjob(arguments.namespace, {}, podTemplate=privileged), "capabilities.add")
        _say("the API server refuses a TrainJob with privileges")
        took_s = ends(client, _trainjob(arguments.namespace, {}, stop={"reason": "only a check"}))
        _say(f"the operator ended a TrainJob {took_s:.1f} s after it was made")
        if arguments.open and arguments.closed:
            enforces(arguments.open, arguments.closed)
            _say("the network plugin enforces NetworkPolicies")
    except (CheckError, TransportError) as error:
        _say(f"FAILED: {error}")
        return 1
    return 0


def refuses(client: KubeClient, item: Object, because: str) -> None:
    """The API server refuses it, with these words. Raises CheckError if not."""
    try:
        path = TRAINJOBS.path(item["metadata"]["namespace"])
        client.transport.request("POST", path, {"dryRun": "All"}, item)
    except ApiError as error:
        if error.status != 422 or because not in error.message:
            raise
        return
    raise CheckError(f"a TrainJob was accepted that should be refused because of {because}")


def ends(client: KubeClient, item: Object, patience_s: float = PATIENCE_S) -> float:
    """Seconds in which the operator ends it; it is deleted. Raises CheckError after `patience_s`."""
    began = time.monotonic()
    made = client.create(item)
    key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
    try:
        while "completionTime" not in ((client.get(TRAINJOBS, key) or {}).get("status") or {}):
            if time.monotonic() - began > patience_s:
                raise CheckError(f"no operator has ended TrainJob {key} within {patience_s:g} s")
            time.sleep(0.2)
    finally:
        client.delete(TRAINJOBS, key, made["metadata"]["uid"])
    return time.monotonic() - began


def enforces(
    open_: tuple[str, int],
    closed: tuple[str, int],
    patience_s: float = PATIENCE_S,
    policy_s: float = POLICY_S,
) -> None:
    """The network plugin keeps this process from `closed`. Raises CheckError if not, or if nobody answers at `open_`
    either, so that it says nothing."""
    if not _within(patience_s, lambda: _answers(open_)):
        raise CheckError(
            f"nobody answers at {open_[0]}:{open_[1]} within {patience_s:g} s, so whether NetworkPolicies are"
            " enforced is not known"
        )
    if not _within(policy_s, lambda: not _answers(closed)):
        raise CheckError(
            "the network plugin does not enforce NetworkPolicies, so every pod of the cluster reaches the ports of"
            " every run: install a plugin that does"
        )


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=2):
            return True
    except OSError:
        return False


def _within(patience_s: float, holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.2)
    return True


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


def _trainjob(namespace: str, trainer: Object, **spec: Object) -> Object:
    return {
        "apiVersion": TRAINJOBS.api_version,
        "kind": TRAINJOBS.kind,
        "metadata": {"name": f"check-{uuid4().hex[:8]}", "namespace": namespace},
        "spec": {"trainer": {"entrypoint": "train:train", "maxEpochs": 1, **trainer}, **spec},
    }


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
