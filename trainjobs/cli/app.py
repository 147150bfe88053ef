"""The commands and their options. `--help` loads only this; the work is imported when a command runs."""

from pathlib import Path
from typing import Annotated

import typer

from trainjobs.cli.launcher import Launcher, launching
from trainjobs.cli.rendering.terminal import Output, mistakes_told
from trainjobs.views.writing import write_line

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


def _tell_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        write_line(f"trainjobs {version('trainjobs')}")
        raise typer.Exit


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
        Launcher,
        typer.Option(
            metavar="local|ray",
            help="What starts the workers: a Ray on this machine, or this command itself, which is quicker.",
        ),
    ] = Launcher.RAY,
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
def explain(
    directory: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run directory, e.g. runs/mnist.", show_default=False)
    ],
    output: OutputOption = Output.TEXT,
) -> None:
    """Say why a run stopped, or where it stands."""
    from trainjobs.cli.explain import explain as work

    with mistakes_told():
        work(directory, output)


@app.command()
def replay(
    curve: Annotated[
        Path,
        typer.Argument(
            metavar="CURVE", help="A run directory, or a CSV file with a header.", show_default=False
        ),
    ],
    criteria: Annotated[
        Path,
        typer.Option(
            "--criteria",
            "-c",
            metavar="FILE",
            help="A TrainJob, or a `stopping:` document.",
            show_default=False,
        ),
    ],
    output: OutputOption = Output.TEXT,
) -> None:
    """Say what criteria would have done to a recorded run."""
    from trainjobs.cli.replay import replay as work

    with mistakes_told():
        work(curve, criteria, output)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Manifests.", show_default=False)],
    output: OutputOption = Output.TEXT,
) -> None:
    """Check manifests: every problem in one line, then advice."""
    from trainjobs.cli.validate import validate as work

    with mistakes_told():
        raise typer.Exit(work(files, output))
