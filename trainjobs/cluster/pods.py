"""What Kubernetes says of an object's pods, and the Events about it and its Job. Of what cannot be read nothing is
told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from trainjobs.api.pod_contract import INDEX
from trainjobs.kube.resources import Object


@dataclass(frozen=True, slots=True)
class PodState:
    """One pod, as `kubectl get pods` sums it up."""

    name: str
    index: str
    """Its place among the pods, such as "0"; a pod that follows a lost one has the same."""
    state: str
    """A word: the phase, or why it waits or has ended, such as Pending, ImagePullBackOff, Running, OOMKilled."""
    why: str
    """A sentence, where Kubernetes has one, such as why no node takes it."""
    node: str
    """Empty until it has one."""
    restarts: int


@dataclass(frozen=True, slots=True)
class Event:
    """One Event that Kubernetes has recorded."""

    uid: str
    about: str
    """Such as Job/mnist."""
    reason: str
    """A word, such as FailedCreate."""
    note: str
    """A sentence."""
    is_warning: bool


def pod_of(raw: Object) -> PodState:
    """The pod that the API server has answered with."""
    status, metadata = _mapping(raw.get("status")), raw["metadata"]
    containers = [_mapping(each) for each in _list(status.get("containerStatuses"))]
    state, why = next(_words(metadata, status, containers))
    return PodState(
        metadata["name"],
        str(_mapping(metadata.get("labels")).get(INDEX, "")),
        state,
        why,
        str(_mapping(raw.get("spec")).get("nodeName", "")),
        sum(number for each in containers if isinstance(number := each.get("restartCount"), int)),
    )


def event_of(raw: Object) -> Event:
    """The Event that the API server has answered with."""
    about = _mapping(raw.get("regarding"))
    return Event(
        raw["metadata"]["uid"],
        f"{about.get('kind', '')}/{about.get('name', '')}",
        str(raw.get("reason", "")),
        str(raw.get("note", "")),
        raw.get("type") == "Warning",
    )


def _words(metadata: Object, status: Object, containers: list[Object]) -> Iterator[tuple[str, str]]:
    """State and why, what says most first; as kubectl has it, a pod that is being deleted is Terminating."""
    if metadata.get("deletionTimestamp"):
        yield "Terminating", ""
    if reason := status.get("reason"):  # such as Evicted
        yield str(reason), str(status.get("message", ""))
    initial = [_mapping(each) for each in _list(status.get("initContainerStatuses"))]
    for each in (*initial, *containers):
        for way in ("waiting", "terminated"):
            told = _mapping(_mapping(each.get("state")).get(way))
            if told.get("reason") not in {None, "Completed", "PodInitializing"}:
                yield str(told["reason"]), str(told.get("message", "")) if way == "waiting" else ""
    for each in map(_mapping, _list(status.get("conditions"))):
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            yield str(status.get("phase", "")), str(each.get("message", ""))
    yield str(status.get("phase", "")), ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
