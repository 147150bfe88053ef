"""The state that two runs of one scenario have in common: everything but names, UIDs, times and counters."""

from __future__ import annotations

import re
from typing import Any

from trainjob_operator.trainjob.objects.names import STOP_DEADLINE
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import JOBS, NETWORK_POLICIES, SECRETS, SERVICES, Key, Object, Resource

TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
VARYING = (
    *("resourceVersion", "managedFields", "generation", "observedGeneration", "message"),
    *("activeSeconds", "gpuSecondsUsed", "clusterIP", "clusterIPs", "uncountedTerminatedPods"),
    # Of a Job whose run was asked to stop: so long after its start.
    *("activeDeadlineSeconds", STOP_DEADLINE),
)
"""Fields that differ between two runs in which nothing went wrong."""


def picture(client: KubeClient, kind: Resource, key: Key) -> dict[str, Any]:
    """The object and what belongs to it. What is not there, or about to go, is None."""
    trainjob = client.get(kind, key)
    owner = trainjob["metadata"]["uid"] if trainjob else "?"
    wanted = {
        "Job": (JOBS, key),
        "Service": (SERVICES, key),
        "NetworkPolicy": (NETWORK_POLICIES, key),
        "Secret": (SECRETS, Key(key.namespace, f"{key.name}-ray-token-{owner[:8]}")),
    }
    found = {kind.kind: trainjob, **{name: client.get(*place) for name, place in wanted.items()}}
    return {name: _drawn(item, key, owner, is_ours=name == kind.kind) for name, item in found.items()}


def difference(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where two pictures differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        names = sorted(wanted.keys() | found.keys())
        return [
            line for name in names for line in difference(wanted.get(name), found.get(name), f"{path}.{name}")
        ]
    return [] if wanted == found else [f"{path.lstrip('.')}: {found!r}, undisturbed {wanted!r}"]


def _drawn(item: Object | None, key: Key, owner: str, *, is_ours: bool) -> Any:
    if item is None or "deletionTimestamp" in item["metadata"]:
        return None
    status = item.get("status") or {}
    lags = status.get("observedGeneration", item["metadata"].get("generation")) != item["metadata"].get(
        "generation"
    )
    text = _plain(item, key, owner)
    if is_ours:
        # Whether anybody saw a state that passed at once is chance, and leaves Running=False behind or not.
        first, *others = text["status"]["conditions"]
        kept = [each for each in others if (each["type"], each["status"]) != ("Running", "False")]
        text["status"]["conditions"] = [first, *kept]
    if item["kind"] == SECRETS.kind:
        text["data"] = sorted(text["data"])
    return {**text, "status is behind": lags and is_ours}


def _plain(value: Any, key: Key, owner: str) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part, key, owner) for name, part in value.items() if name not in VARYING}
    if isinstance(value, list):
        return [_plain(part, key, owner) for part in value]
    if isinstance(value, str):
        value = (
            value.replace(owner, "the TrainJob's UID").replace(owner[:8], "UID").replace(key.name, "mnist")
        )
        value = value.replace(key.namespace, "team")
        return "a UID" if re.fullmatch(r"[0-9a-f-]{36}", value) else TIME.sub("a time", value)
    return value
