"""Why pods do not run, or how they ended, in a sentence for the condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trainjob_operator.trainjob.observation.observed_pods import ObservedPods
from trainjobs.api.pod_contract import CONTAINER, INDEX, TerminationMessage
from trainjobs.api.reasons import KubernetesReason, Reason
from trainjobs.kube.resources import Object

_HARMLESS: Final = ("ContainerCreating", "PodInitializing")
_LONGEST: Final = 500


def unexplained(pods: list[Object], nodes: int, job: str) -> tuple[str, str] | None:
    """Kind and name of the object whose Events may say what keeps the Job's pods from running; None: they say it
    themselves, or nothing keeps them."""
    if why_not_running(ObservedPods(pods)) is not None:
        return None
    there = [pod for pod in pods if pod.get("status", {}).get("phase") in ("Pending", "Running")]
    if len(there) < nodes:
        return "Job", job  # a quota or a policy, say, refuses them
    pending = [pod["metadata"]["name"] for pod in there if pod["status"]["phase"] == "Pending"]
    return ("Pod", pending[0]) if pending else None  # a volume, say, cannot be mounted


def why_not_running(observed: ObservedPods) -> tuple[str, str] | None:
    """A reason and a sentence; None when nothing is known to be wrong."""
    causes = [cause for pod in observed.pods for cause in _causes(pod)]
    if not causes and observed.warnings:
        return _newest(observed.warnings)
    if not causes:
        return None
    reason, message, name = causes[0]
    others = len({pod for _, _, pod in causes}) - 1
    also = f" (and {others} more)" if others else ""
    return reason, f"pod {name}{also}: {message[:_LONGEST]}"


def count_training(pods: list[Object]) -> int:
    """Pods in which the trainer runs. A probe or what stands beside the trainer may keep such a pod from being ready,
    and its kubelet says so; of a pod whose node is lost the control plane says it, without a reason."""
    return sum(1 for pod in pods if _trains(pod))


def _trains(pod: Object) -> bool:
    status = pod.get("status", {})
    ready: Object = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})
    is_told = ready.get("status") == "True" or bool(ready.get("reason"))
    runs = any(
        each["name"] == CONTAINER and "running" in each.get("state", {})
        for each in status.get("containerStatuses", ())
    )
    return runs and is_told and "deletionTimestamp" not in pod["metadata"]


def termination_message(pods: list[Object]) -> TerminationMessage:
    """That of the newest pod 0 that left one."""
    drivers = [pod for pod in pods if pod["metadata"].get("labels", {}).get(INDEX) == "0"]
    drivers.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    texts = [text for pod in drivers for text in _termination_messages(pod)]
    return TerminationMessage.of_text(texts[0]) if texts else TerminationMessage()


def why_it_failed(pods: list[Object]) -> str:
    """What Kubernetes says of a pod that failed, in a clause; empty: nothing but that it did. Of those that had
    successors it is not asked: they did not end the Job."""
    pods = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    last = {pod["metadata"].get("labels", {}).get(INDEX): pod for pod in pods}
    return next(
        (f"pod {pod['metadata']['name']}: {cause}" for pod in last.values() for cause in _failures(pod)), ""
    )


def _failures(pod: Object) -> Iterator[str]:
    status = pod.get("status", {})
    if status.get("phase") == "Failed" and status.get("reason"):  # an eviction, say
        yield f"{status['reason']}: {status.get('message', '')}"[:_LONGEST].strip(": ")
    for kind, where in (("init container", "initContainerStatuses"), ("container", "containerStatuses")):
        for container in status.get(where, ()):
            states = (container.get("state", {}), container.get("lastState", {}))
            for ended in (state["terminated"] for state in states if "terminated" in state):
                if ended.get("exitCode", 0) and (cause := _not_in_message(kind, ended)):
                    yield f"{kind} {container['name']}: {cause}"


def _not_in_message(kind: str, ended: Object) -> str:
    """What the driver's own message does not say: that is shown anyway."""
    known = ended.get("reason", "Error")
    if kind == "container":
        return f"{known} (exit code {ended['exitCode']})" if known != "Error" else ""
    return f"exit code {ended['exitCode']}: {ended.get('message', '').strip()[-_LONGEST:]}".strip(": ")


def _newest(warnings: list[Object]) -> tuple[str, str]:
    def last_seen(event: Object) -> str:
        series = event.get("series") or {}
        times = (series.get("lastObservedTime"), event.get("deprecatedLastTimestamp"), event.get("eventTime"))
        return max(time or "" for time in times)

    event = max(warnings, key=last_seen)
    about = event["regarding"]
    return event.get(
        "reason", ""
    ), f"{about['kind'].lower()} {about['name']}: {event.get('note', '')[:_LONGEST]}"


def _causes(pod: Object) -> Iterator[tuple[str, str, str]]:
    name, status = pod["metadata"]["name"], pod.get("status", {})
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield condition.get("reason", KubernetesReason.UNSCHEDULABLE), condition.get("message", ""), name
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = container.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in _HARMLESS:
            reason = waiting.get("reason", KubernetesReason.WAITING)
            yield reason, f"{reason}: {waiting.get('message', '')}".strip(": "), name
    beside = [
        each["name"] for each in status.get("containerStatuses", ()) if "running" in each.get("state", {})
    ]
    if beside and any(_is_done(each) for each in status["containerStatuses"]):
        message = f"{CONTAINER} is done, and {', '.join(beside)} keeps the pod; make it a sidecar that Kubernetes ends"
        yield Reason.SIDECAR_RUNS, f"{message}: an init container with restartPolicy: Always", name
    if (until := pod["metadata"].get("deletionTimestamp")) is not None:
        node = pod.get("spec", {}).get("nodeName", "")
        message = f"was to be gone from node {node} by {until}; if that node is lost, it stays until the node is back"
        yield Reason.TERMINATING, f"{message} or deleted", name


def _is_done(container: Object) -> bool:
    ended = container.get("state", {}).get("terminated", {})
    return bool(container["name"] == CONTAINER and ended.get("exitCode") == 0)


def _termination_messages(pod: Object) -> Iterator[str]:
    for container in pod.get("status", {}).get("containerStatuses", ()):
        message = container.get("state", {}).get("terminated", {}).get("message", "")
        if container["name"] == CONTAINER and message.strip():
            yield message
