"""What a person does with TrainJobs and TrainSweeps: list, submit, watch, stop, suspend, resume, explain, delete, logs.

A name is a TrainJob's, `trainsweep/NAME` a TrainSweep's, as kubectl has it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.cli.cluster import views
from trainjobs.cli.cluster.around import Around
from trainjobs.cli.cluster.place import JOB_WORDS, SWEEP_WORDS, Place, runs_here
from trainjobs.cli.rendering.terminal import Output, say, show
from trainjobs.exits import ConfigError, Exit, NoInput, StorageError, UsageError, UserError, reading
from trainjobs.kube.config import is_configured
from trainjobs.views.printable import uncoloured
from trainjobs.views.writing import write_json, write_line

if TYPE_CHECKING:
    from trainjobs.cli.cluster.views import Found
    from trainjobs.cluster import Client, ClusterTrainSweep
    from trainjobs.cluster.objects import Objects
    from trainjobs.local.run_report import RunReport
    from trainjobs.runs.directory import RunDirectory

MANIFEST = "trainjob.yaml"
_SAID = re.compile(r"\[rank (\d{1,9})\] (.*)")
"""How a pod's log tells what the training function has printed."""


def list_(place: Place, output: Output, *, all_namespaces: bool) -> None:
    """The runs of this directory and what is in the cluster; of the cluster alone where one is named."""
    named = all_namespaces or place.is_named
    here = [] if named else _readable(runs_here())
    jobs = _listed(place, named, all_namespaces)
    if output is Output.JSON:
        for report in here:
            write_json({"directory": str(report.path), "name": report.name, "state": report.state.value})
        for job in jobs:
            write_json(views.document(job))
        return
    rows = [*map(_row, here), *map(views.row, jobs)]
    show([views.table(rows)] if rows else ["no runs below ./runs, no TrainJobs and no TrainSweeps"])


def _row(report: "RunReport") -> views.Row:
    from trainjobs.stopping.wording import number

    return (
        str(report.path),
        report.state.value,
        str(report.told.epochs) if report.last else "",
        f"{report.best.metric} {number(report.best.value)}" if report.best else "",
        (report.told.decision.criterion if report.told.decision else None) or "",
        "",
        "",
    )


def _readable(directories: "Sequence[RunDirectory]") -> "list[RunReport]":
    """Their reports; a run that cannot be read is named and passed over."""
    if not directories:
        return []
    from trainjobs.api.manifest import SpecError
    from trainjobs.local.run_report import read

    found = []
    for directory in directories:
        try:
            found.append(read(directory))
        except (UserError, SpecError) as error:
            say(f"skipped {directory.path}: {error}")
    return found


def _listed(place: Place, named: bool, all_namespaces: bool) -> "list[Found]":
    """Where no cluster is named, one that is not there or does not answer is no failure of the list."""
    if not named and not is_configured():
        return []
    try:
        with place.client() as client:
            jobs, sweeps = (each.list(all_namespaces=all_namespaces) for each in (client, client.sweeps))
            return [*jobs, *sweeps]
    except (ConfigError, StorageError, NoInput) as error:
        if named:
            raise
        say(f"the cluster is not listed: {error}")
        return []


def submit(file: Path, overrides: Sequence[str], place: Place, output: Output, *, watching: bool) -> int:
    """Make the TrainJob of a manifest, with the Python files beside it; return the exit code."""
    from trainjobs.api.manifest import load

    manifest = file / MANIFEST if file.is_dir() else file
    with reading(manifest):
        job = load(manifest, overrides)
    with place.client() as client:
        made = client.submit(job, manifest.parent)
    code = made.raw["spec"]["trainer"].get("code", {}).get("configMap")
    say(
        f"created TrainJob {made.key}"
        + (f", its code in ConfigMap {code}" if code else ", its code in the image")
    )
    inside = Place(place.context, made.key.namespace)
    if watching:
        return watch(made.key.name, inside, output)
    if output is Output.JSON:
        write_json(views.document(made))
    return Exit.DONE


def watch(name: str, place: Place, output: Output) -> int:
    """Lines for each change until it ends, then how it did; return its exit code."""
    with place.client() as client:
        objects, bare = _chosen(client, name)
        changes, around = views.Changes(), Around(objects, bare)
        for found in objects.watch(bare, lambda error: say(f"the connection is lost, trying again: {error}")):
            if output is Output.JSON:
                write_json(views.document(found))
            else:
                for line in (*around.news(), *changes.since(found)):
                    write_line(line)
    if output is Output.TEXT:
        show(["", *views.explained(found)])
    return found.exit_code


def stop(name: str, reason: str, place: Place, output: Output) -> int:
    """Ask it to stop, and wait until it has; return its exit code."""
    with place.client() as client:
        objects, bare = _chosen(client, name)
        if not (found := objects.stop(bare, reason)).ended:
            say(f"asked {found.raw['kind']} {bare} to stop; waiting until every rank has halted")
        *_, found = objects.watch(bare)
    _tell(found, output)
    return found.exit_code


def suspend(name: str, place: Place, output: Output, *, suspended: bool) -> None:
    """Ask for it, and say so: the operator does it when the checkpoints are written."""
    with place.client() as client:
        objects, bare = _chosen(client, name)
        found = objects.suspend(bare, suspended)
    say(f"asked {found.raw['kind']} {found.key} to {'suspend' if suspended else 'go on'}")
    if output is Output.JSON:
        write_json(views.document(found))


def delete(name: str, place: Place) -> None:
    """Delete it with its pods; checkpoints on its storage stay."""
    with place.client() as client:
        objects, bare = _chosen(client, name)
        objects.delete(bare)
    say(f"deleted {objects.kind} {client.namespace}/{bare}; its storage is as it was")


def explain(name: str, place: Place, output: Output) -> None:
    """Why it stopped, or where it stands."""
    with place.client() as client:
        objects, bare = _chosen(client, name)
        _tell(found := objects.get(bare), output)
        if output is Output.TEXT and not found.ended:
            show(Around(objects, bare).news())


def logs(name: str, rank: int | None, place: Place, *, follow: bool) -> None:
    """What the training function has printed on all ranks, or on one."""
    with place.client() as client:
        for line in client.logs(name, follow=follow):
            said = _SAID.fullmatch(line)
            if said is not None and rank in (None, int(said[1])):
                write_line(uncoloured(said[2] if rank is not None else f"rank {said[1]}: {said[2]}"))


def recorded(name: str, place: Place, directory: Path) -> "tuple[RunDirectory, Path]":
    """What the log of a TrainJob tells, as a run directory, and what to call that. Raises NoInput for a sweep: its
    trials are on its storage alone."""
    with place.client() as client:
        objects, bare = _chosen(client, name)
        if objects is not client:
            raise NoInput(_trials_of(client.sweeps.get(bare)))
        return client.record(bare, directory, say), Path("trainjob") / bare


def _trials_of(sweep: "ClusterTrainSweep") -> str:
    from trainjobs.cluster.record import folder_of

    storage = sweep.raw["spec"]["template"]["spec"].get("checkpoint", {}).get("storage", {})
    claim, folder = storage.get("claimName"), folder_of(sweep)
    where = f"on the claim {claim}, in {folder}" if claim else f"in {storage.get('uri', '')}/{folder}"
    return (
        f"the trials of TrainSweep {sweep.key.name} are {where}, which only its pods read: copy that directory here, "
        "and name it (docs/sweeps.md#in-a-cluster)"
    )


def _chosen(client: "Client", name: str) -> "tuple[Objects[Found], str]":
    """Those of the kind that stands before a slash, and the name behind it. Raises UsageError."""
    kind, slash, bare = name.rpartition("/")
    if not slash or kind.lower() in JOB_WORDS:
        return client, bare
    if kind.lower() in SWEEP_WORDS:
        return client.sweeps, bare
    raise UsageError(f"{name}: there is no kind {kind}: trainjob/{bare} or trainsweep/{bare}")


def _tell(found: "Found", output: Output) -> None:
    if output is Output.JSON:
        write_json(views.document(found))
    else:
        show(views.explained(found))
