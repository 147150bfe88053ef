"""The commands and their options. `--help` loads only this; the work is imported when a command runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainjobs.cli.rendering.terminal import Output, mistakes_told
from trainjobs.local.launching import Launcher, launching
from trainjobs.views.writing import write_line

if TYPE_CHECKING:
    from trainjobs.cli.cluster.place import Place

app = typer.Typer(
    name="trainjobs",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

OutputOption = Annotated[
    Output, typer.Option("--output", "-o", metavar="text|json", help="Text for people, JSON for programs.")
]

NamespaceOption = Annotated[
    str,
    typer.Option("--namespace", "-n", metavar="NAME", help="Of the cluster.", show_default="the context's"),
]
ContextOption = Annotated[
    str,
    typer.Option("--context", metavar="NAME", help="Of the kubeconfig.", show_default="the current one"),
]
RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run directory, a name in runs, or, where there is none or a cluster is named, a TrainJob's name, or "
        "trainsweep/NAME.",
        show_default=False,
    ),
]
TrainJobArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="A TrainJob's name, or trainsweep/NAME.", show_default=False)
]


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        write_line(f"trainjobs {version('trainjobs')}")
        raise typer.Exit


def _place(namespace: str, context: str) -> "Place":
    from trainjobs.cli.cluster.place import Place

    return Place(context, namespace)


@app.callback()
def trainjobs(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which version this is."),
    ] = False,
) -> None:
    """Distributed training jobs that know when to stop."""


@app.command()
def run(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The TrainJob's manifest, YAML.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="Override a field: spec.trainer.maxEpochs=5. Repeatable."
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on at the step after the last checkpoint; a finished run too, when FILE or --set asks for more.",
        ),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew; an earlier run is moved aside.")
    ] = False,
    run_dir: Annotated[
        Path | None,
        typer.Option("--run-dir", metavar="DIR", help="Where the run is kept.", show_default="runs/<name>"),
    ] = None,
    launcher: Annotated[
        Launcher | None,
        typer.Option(
            metavar="local|ray|inline",
            help="What starts the workers: this command itself, or Ray: the cluster that RAY_ADDRESS names, or else "
            "one of this machine. inline: no process is started; one worker has this terminal, for debuggers and "
            "profilers.",
            show_default="local, or ray where RAY_ADDRESS is set",
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Train on this machine until done or stopped.

    A finished run is trained on only with --resume. Ctrl-C halts all workers at one step, with a checkpoint.
    """
    with mistakes_told(), launching(launcher) as launch:
        from trainjobs.cli.run import run as work

        raise typer.Exit(
            work(file, overrides or [], launch, resume=resume, fresh=fresh, run_dir=run_dir, output=output)
        )


@app.command()
def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where; made if it is not there.", show_default="here")
    ] = Path(),
) -> None:
    """Write a first trainjob.yaml and train.py, which train as they are. Nothing is written over."""
    from trainjobs.cli.project import init as work

    with mistakes_told():
        work(directory)


@app.command()
def sweep(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The TrainSweep's manifest, YAML.", show_default=False)
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Override a field: spec.maxTrials=5. Repeatable."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the trials that have not ended, then with new ones.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew; an earlier sweep is moved aside.")
    ] = False,
    sweep_dir: Annotated[
        Path | None,
        typer.Option(
            "--sweep-dir", metavar="DIR", help="Where the sweep is kept.", show_default="sweeps/<name>"
        ),
    ] = None,
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster", help="Apply it to a cluster, with the Python files beside it, and follow it."
        ),
    ] = False,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """Train many variants of a job on this machine, or on a cluster, and stop those that fall behind.

    Ctrl-C halts every trial at one step, with a checkpoint; --resume goes on. A cluster's sweep goes on without us.
    """
    if cluster or context or namespace:
        _sweep_in_cluster(
            file, overrides or [], _place(namespace, context), output, resume or fresh or bool(sweep_dir)
        )
    from trainjobs.cli.sweep import sweep as work

    with mistakes_told():
        raise typer.Exit(
            work(file, overrides or [], resume=resume, fresh=fresh, sweep_dir=sweep_dir, output=output)
        )


def _sweep_in_cluster(
    file: Path, overrides: list[str], place: "Place", output: Output, is_local: bool
) -> None:
    from trainjobs.cli.cluster.sweeping import sweep
    from trainjobs.exits import UsageError

    with mistakes_told():
        if is_local:
            raise UsageError(
                "--resume, --fresh and --sweep-dir are for sweeps on this machine: leave out --cluster"
            )
        raise typer.Exit(sweep(file, overrides, place, output))


@app.command()
def promote(
    directory: Annotated[
        Path,
        typer.Argument(metavar="SWEEP", help="A sweep's directory, e.g. sweeps/mnist.", show_default=False),
    ],
    trial: Annotated[
        str | None, typer.Option("--trial", metavar="ID", help="Such as 0007.", show_default="the best")
    ] = None,
) -> None:
    """Write a trial's TrainJob to standard output."""
    from trainjobs.cli.promote import promote as work

    with mistakes_told():
        work(directory, trial)


@app.command()
def explain(
    run: RunArgument,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """Say why a run stopped, or where it stands."""
    from trainjobs.cli.cluster import verbs
    from trainjobs.cli.explain import explain as work

    with mistakes_told():
        place = _place(namespace, context)
        if place.holds(run):
            verbs.explain(str(run), place, output)
        else:
            work(run, output)


@app.command()
def report(
    named: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...|SWEEP",
            help="A run directory, a name in runs, or, where there is none or a cluster is named, a TrainJob's name; "
            "several are compared. Or one sweep's directory.",
            show_default=False,
        ),
    ],
    file: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write it; an earlier report there is replaced."
        ),
    ] = Path("report.html"),
    namespace: NamespaceOption = "",
    context: ContextOption = "",
) -> None:
    """Write an HTML page: why a run stopped and its curves, several runs side by side, or a sweep's trials.

    It is one file that needs nothing else and asks no other place for anything.
    """
    from trainjobs.cli.report import report as work

    with mistakes_told():
        work(named, file, _place(namespace, context))


@app.command("list")
def list_(
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")
    ] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the runs below ./runs, and TrainJobs and TrainSweeps of the cluster; these alone where one is named."""
    from trainjobs.cli.cluster import verbs

    with mistakes_told():
        verbs.list_(_place(namespace, context), output, all_namespaces=all_namespaces)


@app.command()
def submit(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A TrainJob's manifest, or a directory with trainjob.yaml.",
            show_default=False,
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PATH=VALUE", help="Override a field: metadata.name=mnist-2. Repeatable."
        ),
    ] = None,
    watching: Annotated[bool, typer.Option("--watch", "-w", help="Follow it to its end.")] = False,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a TrainJob in the cluster, with the Python files beside the manifest as its code."""
    from trainjobs.cli.cluster import verbs

    with mistakes_told():
        place = _place(namespace, context)
        raise typer.Exit(verbs.submit(file, overrides or [], place, output, watching=watching))


@app.command()
def watch(
    name: TrainJobArgument,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """Follow a TrainJob or a TrainSweep to its end: a line for each change. Ctrl-C leaves it alone."""
    from trainjobs.cli.cluster import verbs

    with mistakes_told():
        raise typer.Exit(verbs.watch(name, _place(namespace, context), output))


@app.command()
def suspend(
    name: TrainJobArgument,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """Halt a TrainJob or a TrainSweep after a checkpoint and release its nodes."""
    from trainjobs.cli.cluster import verbs

    with mistakes_told():
        verbs.suspend(name, _place(namespace, context), output, suspended=True)


@app.command()
def resume(
    name: TrainJobArgument,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """Let a suspended TrainJob or TrainSweep go on. A run on this machine goes on by `run FILE --resume`."""
    from trainjobs.cli.cluster import verbs

    with mistakes_told():
        verbs.suspend(name, _place(namespace, context), output, suspended=False)


@app.command()
def delete(
    name: TrainJobArgument,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
) -> None:
    """Delete a TrainJob or a TrainSweep with its pods; its checkpoints stay on their storage."""
    from trainjobs.cli.cluster import verbs

    with mistakes_told():
        verbs.delete(name, _place(namespace, context))


@app.command()
def stop(
    run: RunArgument,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = "",
    namespace: NamespaceOption = "",
    context: ContextOption = "",
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop a run that trains elsewhere: all workers halt at one step, and the run is complete."""
    from trainjobs.cli.cluster import verbs
    from trainjobs.cli.stop import stop as work

    with mistakes_told():
        place = _place(namespace, context)
        in_cluster = place.holds(run)
        raise typer.Exit(
            verbs.stop(str(run), reason, place, output) if in_cluster else work(run, reason, output)
        )


@app.command()
def logs(
    run: RunArgument,
    rank: Annotated[
        int | None, typer.Option("--rank", metavar="N", help="Of one worker.", show_default="all")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is printed from now, until the run ends.")
    ] = False,
    namespace: NamespaceOption = "",
    context: ContextOption = "",
) -> None:
    """Show what the training function has printed."""
    from trainjobs.cli.cluster import verbs
    from trainjobs.cli.logs import logs as work

    with mistakes_told():
        place = _place(namespace, context)
        if place.holds(run):
            verbs.logs(str(run), rank, place, follow=follow)
        else:
            work(run, rank, follow=follow)


@app.command()
def replay(
    curves: Annotated[
        list[Path],
        typer.Argument(
            metavar="CURVE...",
            help="Run directories, logs of other tools (CSV, trainer_state.json, TensorBoard), or directories of them.",
            show_default=False,
        ),
    ],
    criteria: Annotated[
        Path,
        typer.Option(
            "--criteria",
            "-c",
            metavar="FILE",
            help="A TrainJob, a `stopping:` document, or a TrainSweep, whose trials the runs then are.",
            show_default=False,
        ),
    ],
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Rank these and the usual criteria on the curves.")
    ] = False,
    give_up: Annotated[
        float | None,
        typer.Option(
            "--give-up",
            metavar="AMOUNT",
            min=0,
            help="What a suggested criterion may give up on average, in the metric's unit.",
            show_default="2 % of what the runs gained",
        ),
    ] = None,
    test_metric: Annotated[
        str | None,
        typer.Option(
            "--test-metric",
            metavar="NAME",
            help="Metric that tells what a stop gives up.",
            show_default="the monitor's on test data, if reported",
        ),
    ] = None,
    max_epochs: Annotated[
        int | None,
        typer.Option(
            "--max-epochs", metavar="N", min=1, help="Length of the runs.", show_default="what they say"
        ),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Say what criteria would have done to recorded runs.

    Of one run each criterion's stop is shown, of several what they saved and gave up; by a TrainSweep, which of its
    trials would have been pruned.
    """
    from trainjobs.cli.replay import Asked
    from trainjobs.cli.replay import replay as work

    with mistakes_told():
        work(curves, Asked(criteria, max_epochs, suggest, give_up, test_metric), output)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Manifests.", show_default=False)],
    output: OutputOption = Output.TEXT,
) -> None:
    """Check manifests: every problem in one line, then advice."""
    from trainjobs.cli.validate import validate as work

    with mistakes_told():
        raise typer.Exit(work(files, output))
