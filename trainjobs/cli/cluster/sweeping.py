"""`trainjobs sweep --cluster`: hands the sweep to the operator of a cluster, and follows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trainjobs.api.manifest import Manifest
from trainjobs.cli.cluster.place import Place
from trainjobs.cli.cluster.verbs import watch
from trainjobs.cli.rendering.terminal import Output, say
from trainjobs.exits import Exit, reading
from trainjobs.sweeps.space import checked


def sweep(file: Path, overrides: Sequence[str], place: Place, output: Output) -> int:
    """Apply it with the Python files beside it, follow it to its end, and return the exit code. Ctrl-C leaves it
    alone. Raises UserError, SpecError."""
    with reading(file):
        job = checked(Manifest.read(file, overrides))
    with place.client() as client:
        key = client.sweeps.apply(job, file.parent).key
    say(
        f"TrainSweep {key} is in the cluster; Ctrl-C leaves it there: kubectl get tsweep {key.name} -n {key.namespace}"
    )
    try:
        return watch(f"trainsweep/{key.name}", Place(place.context, key.namespace), output)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
