"""`trainjobs validate`: every problem of a manifest, or advice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainjobs.api import Stopping, TrainJob
from trainjobs.api.manifest import Manifest, Problem, SpecError
from trainjobs.api.sweep import TrainSweep
from trainjobs.api.trainjob import Trainer
from trainjobs.cli.rendering.terminal import Output, exit_code
from trainjobs.exits import Exit, UserError, reading
from trainjobs.lint import Advice, advise, advise_sweep
from trainjobs.local import entrypoint
from trainjobs.sweeps.space import checked
from trainjobs.views.formatting import count
from trainjobs.views.writing import write_json, write_line


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one file."""

    file: Path
    exit_code: Exit
    problems: tuple[Problem, ...] = ()
    advice: tuple[Advice, ...] = ()
    job: TrainJob | None = None
    stopping: Stopping | None = None
    """Of a document that holds nothing else, as `replay --criteria` takes it."""
    sweep: TrainSweep | None = None


def validate(files: Sequence[Path], output: Output) -> int:
    """Check the files, write what is found, return the highest exit code."""
    found = [check(file) for file in files]
    if output is Output.JSON:
        write_json({"files": [_document(one) for one in found]})
    else:
        for line in (line for one in found for line in _lines(one)):
            write_line(line)
    return max(one.exit_code for one in found)


def check(file: Path) -> Checked:
    """What is wrong with a file, or could be better."""
    try:
        with reading(file):
            manifest = Manifest.read(file)
        if manifest.holds_sweep:
            return _of_sweep(file, manifest, checked(manifest))
        if manifest.holds_stopping_alone:
            return Checked(file, Exit.DONE, stopping=manifest.stopping())
        return _of_job(file, manifest, manifest.job())
    except SpecError as error:
        return Checked(file, exit_code(error), problems=error.problems)
    except UserError as error:
        return Checked(file, error.exit_code, problems=(Problem("", None, str(error)),))


def _of_job(file: Path, manifest: Manifest, job: TrainJob) -> Checked:
    found = entrypoint.problem(manifest, job, file.resolve().parent)
    return _with_entrypoint(
        Checked(file, Exit.DONE, advice=tuple(advise(job)), job=job), job.spec.trainer, found
    )


def _of_sweep(file: Path, manifest: Manifest, sweep: TrainSweep) -> Checked:
    found = entrypoint.sweep_problem(manifest, sweep, file.resolve().parent)
    valid = Checked(file, Exit.DONE, advice=tuple(advise_sweep(sweep)), sweep=sweep)
    return _with_entrypoint(valid, sweep.spec.template.spec.trainer, found)


def _with_entrypoint(valid: Checked, trainer: Trainer, found: Problem | None) -> Checked:
    if found is None:
        return valid
    if (hint := entrypoint.advice(trainer, found)) is None:
        return Checked(valid.file, Exit.CONFIG, problems=(found,))
    return replace(valid, advice=(hint, *valid.advice))


def _lines(checked: Checked) -> list[str]:
    advice = [f"{checked.file}: advice: {one.path}: {one.message}" for one in checked.advice]
    if checked.stopping is not None:
        criteria = ", ".join(checked.stopping.names) or "none"
        return [f"{checked.file}: valid (criteria for trainjobs replay, no TrainJob: {criteria})"]
    if checked.sweep is not None:
        return [f"{checked.file}: valid ({_sweep_facts(checked.sweep)})", *advice]
    if checked.job is None:
        return [str(problem) for problem in checked.problems]
    spec = checked.job.spec
    facts = ", ".join(
        (
            f"TrainJob {checked.job.metadata.name}",
            count(spec.trainer.num_workers, "worker"),
            f"at most {count(spec.trainer.length.amount, spec.trainer.length.unit)}",
            f"criteria: {', '.join(spec.stopping.names) or 'none'}",
        )
    )
    return [f"{checked.file}: valid ({facts})", *advice]


def _sweep_facts(sweep: TrainSweep) -> str:
    trials = f"{count(sweep.spec.trials, 'trial')} of {count(len(sweep.spec.parameters), 'parameter')}"
    pruning = ", ".join(one.key for one in sweep.spec.pruning.criteria) or "none"
    return f"TrainSweep {sweep.metadata.name}, {trials}, pruning: {pruning}"


def _document(checked: Checked) -> dict[str, Any]:
    from trainjobs.runs.codec import jsonable

    return {
        "file": str(checked.file),
        "exit_code": int(checked.exit_code),
        "problems": [
            {"path": p.path, "line": p.line, "value": jsonable(p.value), "message": p.message}
            for p in checked.problems
        ],
        "advice": [{"path": one.path, "message": one.message} for one in checked.advice],
    }
