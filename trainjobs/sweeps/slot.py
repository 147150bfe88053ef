"""A slot: one actor of Ray Tune that runs one trial after another, each by the driver of a single run.

Its ranks are forked for each trial from a process of the slot that has imported torch and never trains: what a trial
leaves in memory, on a GPU or in a library's globals ends with its processes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

from ray.tune import PlacementGroupFactory, Trainable

from trainjobs.api.reasons import RunOutcome
from trainjobs.driver.driver import train
from trainjobs.exits import Exit, UserError
from trainjobs.runs import events
from trainjobs.runs.recorder import RunEnd
from trainjobs.stopping import Observation
from trainjobs.sweeps.preload import server
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.sweeps.requests import FileControl
from trainjobs.sweeps.space import Parameters, trial_job
from trainjobs.sweeps.spanning import SpanningWorkers, answer, members

REPORTED = ("epoch", "step", "seconds", "whole")
"""What a report tells beside its metrics."""
ORPHAN_S = 60.0
"""How long a trial waits for the slot of a killed sweep to notice and let its run directory go."""
JOIN_S = 60.0
"""How long a slot that is told to end waits for its trial to halt; Ray Tune kills it earlier."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A trial that could not be driven: nothing was trained."""

    reason: str
    exit_code: Exit = Exit.FAILURE

    @classmethod
    def of(cls, error: Exception) -> Self:
        reason = str(error).partition("\n")[0] or type(error).__name__
        return cls(reason, error.exit_code if isinstance(error, UserError) else Exit.FAILURE)


class Slot(Trainable):  # type: ignore[misc]  # Ray has no types
    """Reports of a trial are its results; its last result has `done`, its outcome, the reason and all warnings."""

    _last: dict[str, Any]
    _thread: threading.Thread

    def setup(self, config: dict[str, Any], sweep_dir: str, code: str) -> None:
        self._sweep = SweepDirectory(Path(sweep_dir))
        self._spec = self._sweep.sweep()
        self._code = Path(code)
        self._server = server(self._code, self._spec.spec)
        self._members = members(sweep_dir, code)
        self._assign(config)

    def step(self) -> dict[str, Any]:
        """The next report, or the end. The first one begins the trial: Ray Tune may make a slot for a trial that, when
        the slot is up, has long ended in another one."""
        if self._thread.ident is None:
            self._thread.start()
        told = self._told.get()
        if isinstance(told, Observation):
            self._last = {**told.metrics, **{name: getattr(told, name) for name in REPORTED}}
            return {**self._last, "trial": self._name}
        return {**self._last, "trial": self._name, "done": True, "warnings": self._warnings, **_end(told)}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """The next trial; Ray Tune asks for it when the one before has told its end."""
        self._join()
        if not self._spec.spec.slots.reuse:
            self._server.close()
            for member in self._members:
                answer(member.close.remote())
        self._assign(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, str]:
        """A scheduler pauses the trial: halt, checkpoint, free the slot. The run directory knows the rest."""
        self._control.interrupt("paused by the scheduler")
        self._join()
        return {"trial": self._name}

    def load_checkpoint(self, checkpoint: Mapping[str, str] | None) -> None:
        """The run directory goes on by itself."""

    def cleanup(self) -> None:
        """Halt what trains, and end every process."""
        self._control.interrupt("the sweep ends")
        self._join(JOIN_S)
        self._server.close()

    @classmethod
    def resources(cls, sweep: Any, nodes: int, gpus: bool) -> PlacementGroupFactory:
        """What a slot holds on each of its nodes for as long as it lives: a CPU for each rank, and a trial's GPUs."""
        trainer = sweep.spec.template.spec.trainer
        held = {
            "CPU": trainer.num_workers // nodes,
            **({"GPU": trainer.num_gpus // nodes} if gpus and trainer.num_gpus else {}),
        }
        return PlacementGroupFactory([held] * nodes, strategy="STRICT_SPREAD" if nodes > 1 else "PACK")

    def _assign(self, config: dict[str, Any]) -> None:
        self._name = str(config["trial"])
        self._last = {}
        self._told: SimpleQueue[Any] = SimpleQueue()
        self._warnings: list[str] = []
        self._control = FileControl(self._sweep.run(self._name).path, self._sweep.path)
        self._thread = threading.Thread(
            target=self._drive, args=(config["parameters"], self._told, self._warnings), daemon=True
        )

    def _join(self, timeout_s: float | None = None) -> None:
        """Wait until the trial has ended, if it has begun."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _drive(self, parameters: Parameters, told: SimpleQueue[Any], warnings: list[str]) -> None:
        directory = self._sweep.run(self._name)

        def sink(event: events.Event) -> None:
            if isinstance(event, events.Reported):
                told.put(event.observation)
            elif isinstance(event, events.Warned):
                warnings.append(event.message)

        try:
            job = trial_job(self._spec, self._name, parameters)
            with directory.hold(ORPHAN_S):
                directory.write_job(job)
                directory.clear_result()
                workers = SpanningWorkers(self._server, self._members)
                told.put(
                    train(job, directory, sink, self._control, self._code, workers, parameters=parameters)
                )
        except Exception as error:  # a trial's failure is a result: as an exception it would cost the slot
            told.put(Failure.of(error))


def _end(told: RunEnd | Failure) -> dict[str, Any]:
    """Outcome of a trial that has ended, its reason and exit code, and the epochs that it was spared."""
    if isinstance(told, Failure):
        ended: dict[str, Any] = {"outcome": RunOutcome.FAILED.value, "reason": told.reason, "saved_epochs": 0}
    else:
        document = told.document
        ended = {
            "outcome": str(document["state"]),
            "reason": str((document.get("conditions") or [{}])[-1].get("message", "")),
            "saved_epochs": int(document.get("accounting", {}).get("epochsSaved", 0)),
        }
    return {**ended, "exit_code": int(told.exit_code)}
