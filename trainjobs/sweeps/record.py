"""The directory of a sweep: all that it leaves behind, and all that a resume needs.

sweep.yaml      the manifest
trials.jsonl    one line when a trial begins, with its parameters, and one when it has ended
request.json    what is asked of all trials now: to halt
result.json     counts and the best trial; absent while the sweep is under way
trials/<id>/    the run directory of each trial
ray/            Ray Tune's own files
lock            held by the process that sweeps here
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainjobs.api.manifest import Manifest, dump
from trainjobs.api.pruning import Objective
from trainjobs.api.reasons import RunOutcome
from trainjobs.api.sweep import TrainSweep
from trainjobs.exits import CannotCreate, NoInput, UserError, user_error
from trainjobs.runs.codec import REQUESTS, jsonable
from trainjobs.runs.directory import (
    RunDirectory,
    append_line,
    is_file,
    parsed_lines,
    read_result,
    write_whole,
)
from trainjobs.runs.lock import Lock
from trainjobs.runs.requests import Request
from trainjobs.stopping import Observation
from trainjobs.stopping.across import Curve
from trainjobs.stopping.across.curve import shown

_ID_DIGITS = 4
_LEFT_BY_A_CRASH = re.compile(r"lock|\.sweep\.yaml\.\d+\.tmp")


class TrialState(StrEnum):
    """Where a trial stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    FINISHED = RunOutcome.FINISHED
    EARLY_STOPPED = RunOutcome.EARLY_STOPPED
    STOP_REQUESTED = RunOutcome.STOP_REQUESTED
    PRUNED = RunOutcome.PRUNED
    INTERRUPTED = RunOutcome.INTERRUPTED
    FAILED = RunOutcome.FAILED

    @property
    def ended(self) -> bool:
        """Whether a resume leaves it alone."""
        return self not in (TrialState.PENDING, TrialState.RUNNING, TrialState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the table."""

    name: str
    """Four digits and more, counted from 0001."""
    parameters: Mapping[str, Any]
    proposed: str
    """By whom: "random", "grid", or the name of a sampler."""
    state: TrialState = TrialState.PENDING
    epoch: int = 0
    objective: float = math.nan
    """NaN before there is one."""
    reason: str = ""
    seconds: float = 0.0
    """Training seconds."""
    saved_epochs: int = 0
    """Epochs that it was spared."""


@dataclass(frozen=True, slots=True)
class SweepDirectory:
    """One sweep's directory at `path`, which need not exist yet."""

    path: Path

    @property
    def manifest(self) -> Path:
        return self.path / "sweep.yaml"

    def exists(self) -> bool:
        """Whether a sweep was ever begun here. Raises what `is_file` does."""
        return is_file(self.manifest)

    def run(self, trial: str) -> RunDirectory:
        """A trial's run directory."""
        return RunDirectory(self.path / "trials" / trial)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make the directory and keep every other process from sweeping here. Raises CannotCreate."""
        with ExitStack() as stack:
            try:
                RunDirectory(self.path).create()
                stack.enter_context(Lock(self.path / "lock").hold())
            except CannotCreate as error:
                raise CannotCreate(str(error).replace("--run-dir", "--sweep-dir")) from error
            yield

    def sweep(self) -> TrainSweep:
        """The manifest. Raises NoInput where no sweep was begun, SpecError when it is damaged."""
        if not self.exists():
            raise NoInput(f"{self.path}: not a sweep's directory (it holds no sweep.yaml)")
        try:
            return Manifest.read(self.manifest).sweep()
        except OSError as error:
            raise user_error(error, f"reading {self.manifest}") from error

    def check_ours(self) -> None:
        """Refuse a directory that holds files and no sweep. Raises CannotCreate."""
        names = [name for name in RunDirectory(self.path).names() if not _LEFT_BY_A_CRASH.fullmatch(name)]
        if names and not self.exists():
            raise CannotCreate(f"{self.path}: holds files and no sweep; name another --sweep-dir")

    def write_sweep(self, sweep: TrainSweep) -> None:
        write_whole(self.manifest, dump(sweep))

    def begun(self, trial: Trial) -> None:
        """Keep a trial's parameters, before it starts."""
        line = {"trial": trial.name, "parameters": dict(trial.parameters), "proposed": trial.proposed}
        append_line(self.path / "trials.jsonl", jsonable(line))

    def ended(self, trial: Trial) -> None:
        """Keep how a trial ended."""
        known = ("state", "epoch", "objective", "reason", "seconds", "saved_epochs")
        line = {"trial": trial.name, **{name: getattr(trial, name) for name in known}}
        append_line(self.path / "trials.jsonl", jsonable(line))

    def trials(self) -> dict[str, Trial]:
        """All trials by name, in the order in which they began. Raises DataError naming the line."""
        found = dict[str, Trial]()
        for _ in parsed_lines(self.path / "trials.jsonl", lambda line: _fold(found, line)):
            pass
        return found

    def table(self, objective: Objective) -> Table:
        """The trials as they stand: one that has not ended, by its history and by how it left."""
        trials = self.trials()
        for name, trial in trials.items():
            if not trial.state.ended and (history := self.history(name)[0]):
                curve = Curve.of(history, objective)
                trials[name] = replace(
                    trial,
                    state=TrialState.INTERRUPTED if self._was_interrupted(name) else trial.state,
                    epoch=history[-1].epochs,
                    objective=shown(curve.standings[-1], objective.mode) if curve.epochs else math.nan,
                    seconds=history[-1].seconds,
                )
        return Table(objective, trials)

    def history(self, trial: str) -> tuple[tuple[Observation, ...], str]:
        """What a trial has reported, and what is wrong with that: nothing is known of a history that is damaged."""
        try:
            return self.run(trial).history(), ""
        except UserError as error:
            return (), str(error)

    def curves(self, objective: Objective) -> dict[str, Curve]:
        """The objective of every trial by epoch, as far as its history can be read."""
        return {name: Curve.of(self.history(name)[0], objective) for name in self.trials()}

    def _was_interrupted(self, trial: str) -> bool:
        with suppress(UserError):
            return (self.run(trial).result() or {}).get("state") == RunOutcome.INTERRUPTED
        return False

    def ask(self, request: Request) -> None:
        """Ask something of all trials that train or will. Raises StorageError or NoPermission."""
        _write_request(self.path, request)

    def ask_trial(self, trial: str, request: Request) -> bool:
        """Ask something of one trial; whether that could be written. Where it cannot, neither can the trial's own
        driver go on, which says why."""
        try:
            _write_request(self.run(trial).path, request)
        except UserError:
            return False
        return True

    def clear_requests(self) -> None:
        """What was asked of all trials is done with."""
        (self.path / "request.json").unlink(missing_ok=True)
        (self.path / "result.json").unlink(missing_ok=True)

    def write_result(self, document: Mapping[str, Any]) -> None:
        write_whole(self.path / "result.json", json.dumps(jsonable(document), indent=2) + "\n")

    def result(self) -> dict[str, Any] | None:
        """How the sweep ended; None while it has not. Raises DataError when the file is damaged."""
        return read_result(self.path / "result.json", lambda document: {"state", "reason"} <= set(document))


@dataclass
class Table:
    """The trials of a sweep as they stand, and the best of them."""

    objective: Objective
    trials: dict[str, Trial] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        """The trial with the best finite objective; of equals the first. A failed one is none."""
        sign = -1 if self.objective.mode == "max" else 1
        able = [
            t for t in self.trials.values() if math.isfinite(t.objective) and t.state != TrialState.FAILED
        ]
        return min(able, key=lambda trial: sign * trial.objective, default=None)

    @property
    def counts(self) -> dict[str, int]:
        """Trials by state."""
        states = [trial.state for trial in self.trials.values()]
        return {state: states.count(state) for state in TrialState if state in states}

    def copy(self) -> Table:
        """As it is now; safe beside a thread that changes it."""
        return replace(self, trials=dict(self.trials))

    def update(self, name: str, **changes: Any) -> Trial:
        self.trials[name] = replace(self.trials[name], **changes)
        return self.trials[name]


def changed_since(before: TrainSweep, now: TrainSweep) -> list[str]:
    """What a resume cannot follow: finished trials would be others."""
    fixed = ("template", "parameters", "objective", "search", "seed")
    return [name for name in fixed if getattr(before.spec, name) != getattr(now.spec, name)]


def _write_request(folder: Path, request: Request) -> None:
    write_whole(folder / "request.json", json.dumps(REQUESTS.to_dict(request)) + "\n")


def name_of(number: int) -> str:
    """A trial's, from its number."""
    return f"{number:0{_ID_DIGITS}}"


def _fold(trials: dict[str, Trial], line: dict[str, Any]) -> None:
    name = str(line["trial"])
    if "parameters" in line:
        if name != (due := name_of(len(trials) + 1)):
            raise ValueError(f"trial {name} begins where {due} has to")
        trials[name] = Trial(name, dict(line["parameters"]), str(line["proposed"]))
        return
    trials[name] = replace(
        trials[name],
        state=TrialState(line["state"]),
        epoch=int(line["epoch"]),
        objective=float(line["objective"]),
        reason=str(line["reason"]),
        seconds=float(line["seconds"]),
        saved_epochs=int(line["saved_epochs"]),
    )
