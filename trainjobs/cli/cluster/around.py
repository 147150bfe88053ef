"""What happens around an object of the cluster: its pods and Kubernetes' Events, a line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trainjobs.cli.rendering.terminal import say
from trainjobs.exits import NoPermission, StorageError
from trainjobs.views.formatting import count
from trainjobs.views.printable import on_one_line

if TYPE_CHECKING:
    from trainjobs.cli.cluster.views import Found
    from trainjobs.cluster.objects import Objects
    from trainjobs.cluster.pods import Event, PodState


@dataclass(slots=True)
class Around:
    """Tells each thing once. Who may not read pods or Events, or gets no answer, is told so once and sees the rest."""

    objects: Objects[Found]
    name: str
    _told: set[str] = field(default_factory=set)
    _pods: dict[str, str] = field(default_factory=dict)

    def news(self) -> list[str]:
        """Lines about what has changed since they were last asked for."""
        lines: list[str] = []
        try:
            lines += self._changed(self.objects.pods(self.name))
            lines += self._recorded(self.objects.events(self.name))
        except (NoPermission, StorageError) as error:
            self._say_once(f"pods and events are not shown: {error}")
        return lines

    def _changed(self, pods: list[PodState]) -> Iterator[str]:
        now = {pod.name: pod_line(pod) for pod in pods}
        yield from (line for name, line in now.items() if self._pods.get(name) != line)
        yield from (f"pod {name}  is gone" for name in self._pods.keys() - now.keys())
        self._pods = now

    def _recorded(self, events: list[Event]) -> Iterator[str]:
        for event in events:
            if event.uid not in self._told:
                self._told.add(event.uid)
                yield event_line(event)

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            say(text)


def pod_line(pod: PodState) -> str:
    """Such as `pod mnist-0-x7kzp  Running  on node-1`."""
    parts = (
        f"pod {pod.name}",
        pod.state,
        f"on {pod.node}" if pod.node else "",
        count(pod.restarts, "restart") if pod.restarts else "",
        pod.why,
    )
    return "  ".join(filter(None, map(on_one_line, parts)))


def event_line(event: Event) -> str:
    """Such as `warning Job/mnist FailedCreate: quota exceeded`."""
    return on_one_line(
        f"{'warning' if event.is_warning else 'event'} {event.about} {event.reason}: {event.note}"
    )
