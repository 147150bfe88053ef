"""The name by which workers import a training function that a script or notebook gives as it is."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from trainjobs.exits import UsageError

if TYPE_CHECKING:
    from trainjobs.runtime import Run

TrainingFunction: TypeAlias = "Callable[[Run], object]"


def named(function: TrainingFunction) -> tuple[str, Path]:
    """`module:function`, and the directory where that module is found. Raises UsageError where workers cannot import
    it: from a notebook, a prompt, or inside another function."""
    name = getattr(function, "__qualname__", type(function).__name__)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    file = getattr(module, "__file__", None)
    if module is None or file is None or not name.isidentifier() or name == "<lambda>":
        raise UsageError(
            f"{name}: workers cannot import it; write it at the top of a file (in a notebook: %%writefile train.py) "
            "and give that module's function, or name it in spec.trainer.entrypoint"
        )
    parts = _name(module, Path(file)).split(".")
    depth = len(parts) if Path(file).name == "__init__.py" else len(parts) - 1
    return f"{'.'.join(parts)}:{name}", Path(file).resolve().parents[depth]


def _name(module: ModuleType, file: Path) -> str:
    """A script is imported by the name of its file, or the one that it was started by with `python -m`."""
    if module.__name__ != "__main__":
        return module.__name__
    return module.__spec__.name if module.__spec__ is not None else file.stem
