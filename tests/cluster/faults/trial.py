"""One run of a scenario with an operator of its own and a fault, compared with a run without."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from faults.picture import difference, picture
from faults.recording import Recording
from faults.scenarios import Player, StuckError, kind_of, told
from faults.seam import Fault, Seam

from trainjob_operator.app import Operator, Options
from trainjob_operator.core.work_queue import WorkQueue
from trainjob_operator.trainjob.plan import Settings
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import TRAINJOBS, Key, Resource
from trainjobs.kube.transport import HttpTransport

Scenario = Callable[[Player], None]
MakeOperator = Callable[[Seam, Options], Operator]

CONVERGED_S = 30.0
"""How long after the end of the faults the state may differ."""


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What a run without a fault comes to."""

    end: dict[str, Any]
    writes: tuple[str, ...]
    """Each write, without the TrainJob's name."""
    events: tuple[str, ...]
    """Each event that the operator got."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What all trials share."""

    transport: HttpTransport
    """Of those who play, with all rights."""
    operators: HttpTransport
    """Of operators, with the rights that the chart gives them."""
    recording: Recording
    namespace: str
    make: MakeOperator = Operator
    """Builds the operator; tests of the tests plant errors here."""
    patience_s: float = CONVERGED_S
    step_s: float = 60.0


class Life:
    """One operator from its start to its end."""

    def __init__(self, stage: Stage, kind: Resource, key: Key, fault: Fault) -> None:
        self.seam = Seam(stage.operators, stage.recording, key, fault)
        settings = Settings("testbed.local/host:1")
        options = Options(
            "trial",
            Key("default", "none"),
            settings,
            workers=2,
            host="127.0.0.1",
            metrics_port=0,
            health_port=0,
        )
        self.operator = stage.make(self.seam, options)
        self._kind = kind
        self._key = key
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.operator.run, args=[self._stop])
        self._thread.start()

    def end(self) -> None:
        """It does nothing more."""
        self.seam.kill()
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def passes(self) -> None:
        """Have it look at its object, and return when it has and nothing is left to do now."""
        self._queue.add(self._key)
        deadline = time.monotonic() + CONVERGED_S
        while not self._is_idle():
            assert time.monotonic() < deadline, "it finds no rest"
            time.sleep(0.02)

    def _is_idle(self) -> bool:
        queue = self._queue
        with queue._changed:
            return not (queue._waiting or queue._working or queue._failures)

    @property
    def _queue(self) -> WorkQueue[Key]:
        trainjobs, trainsweeps = self.operator.controllers
        return (trainjobs if self._kind is TRAINJOBS else trainsweeps).queue


@dataclass
class Trial:
    """One run."""

    stage: Stage
    scenario: Scenario
    name: str
    fault: Fault = field(default_factory=Fault)
    operators: int = 1
    lives: list[Life] = field(default_factory=list)

    @property
    def key(self) -> Key:
        return Key(self.stage.namespace, self.name)

    @property
    def kind(self) -> Resource:
        return kind_of(self.scenario)

    def undisturbed(self) -> Undisturbed:
        """Run without comparison."""
        try:
            self._play()
            self._rests()
            seam = self.lives[0].seam
            end = picture(KubeClient(self.stage.transport), self.kind, self.key)
            return Undisturbed(end, tuple(seam.writes), tuple(seam.delivered))
        finally:
            self._close()

    def problems(self, wanted: Undisturbed) -> list[str]:
        """Run; what differs from the undisturbed run."""
        try:
            self._play()
            found = self._converges(wanted)
            return found or self._rests() or self._takes_back()
        except StuckError as error:
            return [str(error)]
        finally:
            self._close()

    def _play(self) -> None:
        watchman = threading.Thread(target=self._revive)
        self._closing = threading.Event()
        for _ in range(self.operators):
            self._begin()
        watchman.start()
        self._watchman = watchman
        timeline = self.stage.recording.of(self.key)
        client = KubeClient(self.stage.transport)
        self.scenario(Player(client, self.kind, self.key, timeline, self.stage.step_s))

    def _begin(self) -> None:
        self.lives.append(Life(self.stage, self.kind, self.key, self.fault))

    def _revive(self) -> None:
        """A killed operator is followed by a fresh one."""
        while not self._closing.is_set():
            if self.lives[-1].seam.dead.wait(0.05) and not self._closing.is_set():
                self.lives[-1].end()
                self._begin()

    def _converges(self, wanted: Undisturbed) -> list[str]:
        client = KubeClient(self.stage.transport)
        deadline = time.monotonic() + self.stage.patience_s
        while found := difference(wanted.end, picture(client, self.kind, self.key)):
            if time.monotonic() > deadline:
                return found
            time.sleep(0.2)
        return []

    def _rests(self) -> list[str]:
        """Whether nothing is written any more, by the operators there are nor by one that starts now."""
        lives = [life for life in self.lives if not life.seam.dead.is_set()]
        for life in lives:
            life.passes()
        for life in lives:
            life.seam.writes, done = [], life.seam.writes
            life.passes()
            if life.seam.writes:
                return [f"at rest: {life.seam.writes}"]
            life.seam.writes = done
        fresh = Life(self.stage, self.kind, self.key, Fault())
        try:
            fresh.passes()
            return [f"a fresh operator: {fresh.seam.writes}"] if fresh.seam.writes else []
        finally:
            fresh.end()

    def _takes_back(self) -> list[str]:
        """An end that was shown and then was none."""
        ended: dict[str, str] = {}
        for heard in self.stage.recording.of(self.key).events:
            item = heard.event["object"]
            if heard.resource is self.kind:
                conditions = (item.get("status") or {}).get("conditions") or [{}]
                uid, end = item["metadata"]["uid"], conditions[0].get("type") in ("Complete", "Failed")
                if uid in ended and ended[uid] != told(item):
                    return [f"{ended[uid]} was taken back for {told(item)}"]
                if end:
                    ended[uid] = told(item)
        return []

    def _close(self) -> None:
        self._closing.set()
        self._watchman.join(30)
        for life in self.lives:
            life.end()
