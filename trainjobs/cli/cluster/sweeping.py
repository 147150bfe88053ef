"""`trainjobs sweep --cluster`: hands the sweep to the operator of a cluster, and follows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.api.manifest import Manifest
from trainjobs.cli.cluster.place import Place
from trainjobs.cli.rendering.terminal import Output, say
from trainjobs.exits import ConfigError, Exit, reading
from trainjobs.sweeps.space import checked
from trainjobs.views.printable import on_one_line
from trainjobs.views.writing import write_json, write_line

if TYPE_CHECKING:
    from trainjobs.cluster import ClusterTrainSweep


def sweep(file: Path, overrides: Sequence[str], place: Place, output: Output) -> int:
    """Apply it with the Python files beside it, follow it to its end, and return the exit code. Ctrl-C leaves it
    alone. Raises UserError, SpecError."""
    with reading(file):
        job = checked(Manifest.read(file, overrides))
    if job.spec.template.spec.trainer.num_nodes > 1:
        raise ConfigError(
            "spec.template.spec.trainer.numNodes: must be 1 in a cluster, where a trial has one pod; parallelTrials "
            "says how many pods there are"
        )
    with place.client() as client:
        key = client.sweeps.apply(job, file.parent).key
    say(
        f"TrainSweep {key} is in the cluster; Ctrl-C leaves it there: kubectl get tsweep {key.name} -n {key.namespace}"
    )
    return _follow(key.name, Place(place.context, key.namespace), output)


def _follow(name: str, place: Place, output: Output) -> int:
    write: Callable[[ClusterTrainSweep], None] = StatusLines() if output is Output.TEXT else _json
    try:
        with place.client() as client:
            for seen in client.sweeps.watch(name, lambda error: say(f"trying again: {error}")):
                write(seen)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return seen.exit_code


class StatusLines:
    """A line for each change: the sweep's state, and trials that have ended."""

    def __init__(self) -> None:
        self._state = ""
        self._told: set[str] = set()

    def __call__(self, sweep: ClusterTrainSweep) -> None:
        for row in reversed(sweep.status.latest):
            if row.reason and row.trial not in self._told:
                self._told.add(row.trial)
                value = f", objective {row.objective}" if row.objective is not None else ""
                write_line(
                    f"trial {row.trial}  {row.state} at epoch {row.epoch}{value}: {on_one_line(row.reason)}"
                )
        state = f"{sweep.state}: {on_one_line(sweep.message + _best(sweep))}"
        if sweep.message and state != self._state:
            self._state = state
            write_line(state)


def _best(sweep: ClusterTrainSweep) -> str:
    best = sweep.status.best
    if best is None or not sweep.ended:
        return ""
    return f"; best is trial {best.trial}, {best.metric} {best.objective}  {best.values}".rstrip()


def _json(sweep: ClusterTrainSweep) -> None:
    write_json({"event": "Status", **(sweep.raw.get("status") or {})})
