"""`python -m trainjob_operator.selftest`: whether an installation works, step by step; `helm test` runs it.

The TrainJob that it makes is to stop before it starts: the operator ends it without a pod, and it is deleted.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final
from uuid import uuid4

from trainjobs.kube.client import Client
from trainjobs.kube.resources import TRAINJOBS, Key, Object
from trainjobs.kube.transport import ApiError, TransportError, connect

PATIENCE_S: Final = 120.0
"""Seconds for the operator to take up a TrainJob: it may just have been installed."""
_PRIVILEGE: Final = {"capabilities": {"add": ["OF_NO_KERNEL"]}}
"""Refused whatever capabilities the administrator allows."""


class CheckError(Exception):
    """What does not work."""


def main() -> int:
    """0: all works. 1: the last line says what does not."""
    parser = argparse.ArgumentParser(prog="trainjob_operator.selftest", description=__doc__)
    parser.add_argument("--kubeconfig", help="cluster to work in (default: the one this pod is in)")
    parser.add_argument("--namespace", required=True, help="one that the operator looks after")
    arguments = parser.parse_args()
    client = Client(connect(arguments.kubeconfig))
    try:
        refuses(client, _trainjob(arguments.namespace, {"maxEpochs": 0}), "spec.trainer.maxEpochs")
        _say("the API server refuses an invalid TrainJob")
        privileged = {"spec": {"containers": [{"name": "trainer", "securityContext": _PRIVILEGE}]}}
        refuses(client, _trainjob(arguments.namespace, {}, podTemplate=privileged), "capabilities.add")
        _say("the API server refuses a TrainJob with privileges")
        took_s = ends(client, _trainjob(arguments.namespace, {}, stop={"reason": "only a check"}))
        _say(f"the operator ended a TrainJob {took_s:.1f} s after it was made")
    except (CheckError, TransportError) as error:
        _say(f"FAILED: {error}")
        return 1
    return 0


def refuses(client: Client, item: Object, because: str) -> None:
    """The API server refuses it, with these words. Raises CheckError if not."""
    try:
        path = TRAINJOBS.path(item["metadata"]["namespace"])
        client.transport.request("POST", path, {"dryRun": "All"}, item)
    except ApiError as error:
        if error.status != 422 or because not in error.message:
            raise
        return
    raise CheckError(f"a TrainJob was accepted that should be refused because of {because}")


def ends(client: Client, item: Object, patience_s: float = PATIENCE_S) -> float:
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
