"""Kubernetes Events about a TrainJob: that it runs, pauses, has ended, and what keeps it from starting."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from trainjobs.api.reasons import OPERATOR, ConditionType, Reason
from trainjobs.kube.resources import EVENTS, Object

_LONGEST_NOTE: Final = 1024
"""Bytes, not characters: the API server refuses a longer one."""
_WARNINGS: Final = (ConditionType.FAILED,)
_ON_THE_WAY: Final = (Reason.STARTING, Reason.SUSPENDING, Reason.ENDING, Reason.STOPPING)
"""Reasons of what is soon followed by something that is told: the condition says it meanwhile."""


def event_for(trainjob: Object, status: Mapping[str, Any], reporter: str, now: datetime) -> Object | None:
    """The Event for a status that is being written; None when its first condition says nothing that is worth one."""
    known = _first_condition((trainjob.get("status") or {}).get("conditions"))
    first = _first_condition(status.get("conditions"))
    if first is None or first == known or first[2] in _ON_THE_WAY:
        return None
    kind, truth, reason = first
    metadata = trainjob["metadata"]
    warns = kind in _WARNINGS or truth == "False"
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.kind,
        "metadata": {"name": f"{metadata['name']}.{uuid4().hex[:16]}", "namespace": metadata["namespace"]},
        "eventTime": now.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "reportingController": OPERATOR,
        "reportingInstance": reporter[:128],
        "regarding": {
            "apiVersion": trainjob["apiVersion"],
            "kind": trainjob["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "type": "Warning" if warns else "Normal",
        "reason": reason,
        "action": "Reconcile",
        "note": status["conditions"][0]["message"].encode()[:_LONGEST_NOTE].decode(errors="ignore"),
    }


def _first_condition(conditions: Any) -> tuple[str, str, str] | None:
    if not conditions:
        return None
    first = conditions[0]
    return first["type"], first["status"], first["reason"]
