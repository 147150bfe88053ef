"""What a slot imports once for all its trials: the installed packages that the training module imports at its top.

A trial's ranks are forked from a process that has imported torch; importing the rest anew for every trial would take
seconds. The training module itself, and what lies beside it, is imported by each trial: its globals are the trial's.
A package is imported as a trial would import it: with the variables of the template's `env`, and not at all where the
training module does something first, such as setting a variable of its own.
"""

import ast
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from trainjobs.api.sweep import TrainSweepSpec
from trainjobs.driver.forkserver import PRELOAD, ForkServer

COUNTS_GPUS = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
"""With it `torch.cuda.is_available()` asks the GPUs' driver, and does not reach for CUDA."""
TRAINER = "/spec.trainer."


def server(code: Path, spec: TrainSweepSpec) -> ForkServer:
    """Forks the ranks of trials.

    Args:
        code: directory searched for the training module.
    """
    trainer = spec.template.spec.trainer
    own = any(name.startswith((f"{TRAINER}env", f"{TRAINER}entrypoint")) for name in spec.parameters)
    found = [] if own else [name for name in imported(code, trainer.entrypoint) if name not in PRELOAD]
    variables = {variable.name: variable.value or "" for variable in trainer.env if not variable.value_from}
    return ForkServer([*PRELOAD[:-1], *found, PRELOAD[-1]], {**COUNTS_GPUS, **variables})


def imported(code: Path, entrypoint: str) -> list[str]:
    """Installed modules that the entrypoint's file imports before it does anything else, in order; none if it cannot
    be read.

    Args:
        code: directory searched for the module.
        entrypoint: `module:function`.
    """
    file = code.joinpath(*entrypoint.partition(":")[0].split(".")).with_suffix(".py")
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return []  # in an installed package, or wrong: the trial says so
    return [name for name in dict.fromkeys(_names(body, code)) if _is_installed(name)]


def _names(body: list[ast.stmt], code: Path) -> Iterator[str]:
    """Up to the first statement, or module of the user's own, that may do anything."""
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Import(names=aliases):
                found = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(module), level=0):
                found = [module]
            case _:
                return
        if any(_is_beside(name, code) for name in found):
            return
        yield from found


def _is_beside(name: str, code: Path) -> bool:
    top = name.partition(".")[0]
    return (code / top).exists() or (code / f"{top}.py").exists()


def _is_installed(name: str) -> bool:
    top = name.partition(".")[0]
    with suppress(ImportError, ValueError):
        return top != "trainjobs" and find_spec(top) is not None
    return False
