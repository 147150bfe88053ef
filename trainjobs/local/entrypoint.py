"""Whether the training function is where the manifest says, found out without running any of its code."""

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from trainjobs.api import path_text
from trainjobs.api.fields import nearest
from trainjobs.api.manifest import Manifest, Problem
from trainjobs.lint import Advice

if TYPE_CHECKING:
    from trainjobs.api import TrainJob
    from trainjobs.api.sweep import TrainSweep
    from trainjobs.api.trainjob import Trainer

AT = ("spec", "trainer", "entrypoint")

_MAKES_NAMES = frozenset({"globals", "exec", "setattr", "vars"})
"""Functions through which a module may have names that are not to be read in it."""


def problem(manifest: Manifest, job: "TrainJob", code: Path) -> Problem | None:
    """What is wrong with the entrypoint, looked for in `code` and on Python's path; None if nothing."""
    entrypoint = job.spec.trainer.entrypoint
    fault = _fault(entrypoint, code)
    return manifest.problem(AT, entrypoint, fault) if fault else None


def sweep_problem(manifest: Manifest, sweep: "TrainSweep", code: Path) -> Problem | None:
    """The same of a sweep's template."""
    entrypoint = sweep.spec.template.spec.trainer.entrypoint
    fault = _fault(entrypoint, code) if f"/{path_text(AT)}" not in sweep.spec.parameters else None
    return manifest.sweep_problem(("spec", "template", *AT), entrypoint, fault) if fault else None


def advice(trainer: "Trainer", found: Problem) -> Advice | None:
    """The same as advice, where the function may be in an image or a ConfigMap that is not here."""
    image, code = trainer.image, trainer.code
    if image is None and code is None:
        return None
    place = f"ConfigMap {code.config_map}" if code else f"image {image}"
    return Advice(found.path, f"{found.message}; on a cluster it has to be in the {place}")


def _fault(entrypoint: str, folder: Path) -> str | None:
    module, _, function = entrypoint.partition(":")
    found = _spec(module, folder)
    if found is None:
        close = nearest(module, [path.stem for path in folder.glob("*.py")])
        return f"no module {module} in {folder} or on Python's path" + _meant(close)
    if found.origin is None or not found.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(found.origin).read_bytes())
    except SyntaxError as error:
        return f"{found.origin}:{error.lineno}: {error.msg}"
    except ValueError as error:
        return f"{found.origin}: {error}"
    except OSError:  # in a zip file, or not permitted: the worker will know
        return None
    return _fault_of(tree, module, function)


def _spec(name: str, folder: Path) -> ModuleSpec | None:
    """Where a module is. Unlike `importlib.util.find_spec` it does not import the packages around it."""
    top, *below = name.split(".")
    folders = [str(folder), *sys.path]
    found = PathFinder.find_spec(top, folders) or _spec_elsewhere(top)
    for around, part in pairwise((top, *below)):
        if found is None or found.submodule_search_locations is None:
            return None
        is_namespace = found.origin is None
        folders = _below(folders, around) if is_namespace else list(found.submodule_search_locations)
        found = PathFinder.find_spec(part, folders)
    return found


def _below(folders: list[str], name: str) -> list[str]:
    """The folders of a package without `__init__.py`; its spec would look for its parent among what is imported."""
    return [str(path) for folder in folders if (path := Path(folder) / name).is_dir()]


def _spec_elsewhere(top: str) -> ModuleSpec | None:
    """A module that is built in, or found by an import hook, such as that of an editable installation."""
    found = (finder.find_spec(top, None) for finder in sys.meta_path)
    return next((spec for spec in found if spec is not None), None)


def _fault_of(tree: ast.Module, module: str, function: str) -> str | None:
    names = dict(_names(tree.body))
    if function in names:
        return _fault_of_signature(names[function], function)
    if "*" in names or "__getattr__" in names or any(map(_makes_names, ast.walk(tree))):
        return None
    return f"{module} has no function {function}" + _meant(nearest(function, list(names)))


def _fault_of_signature(definition: ast.stmt, function: str) -> str | None:
    """The rule is of the worker: the function is called with the run as its one argument."""
    if not isinstance(definition, ast.FunctionDef) or definition.decorator_list:
        return None
    given = definition.args
    places = [*given.posonlyargs, *given.args]
    needed = len(places) - len(given.defaults)
    if needed <= 1 and None not in given.kw_defaults and (places or given.vararg):
        return None
    return (
        "is called with the run as its one argument, but its signature is "
        f"{function}({ast.unparse(given)}); write def {function}(run)"
    )


def _names(body: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt]]:
    """What a module's statements define, also below `if`, `try` and `with`."""
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, statement
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                for alias in aliases:
                    yield alias.asname or alias.name.partition(".")[0], statement
            case _:
                yield from ((name, statement) for name in _assigned(statement))
                yield from _names(list(_statements_below(statement)))


def _assigned(statement: ast.stmt) -> Iterator[str]:
    for node in ast.iter_child_nodes(statement):
        if not isinstance(node, ast.stmt):
            yield from (
                name.id
                for name in ast.walk(node)
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            )


def _statements_below(statement: ast.stmt) -> Iterator[ast.stmt]:
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.stmt):
            yield node
        elif isinstance(node, ast.ExceptHandler | ast.match_case):
            yield from node.body


def _makes_names(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in _MAKES_NAMES


def _meant(close: str | None) -> str:
    return f'; did you mean "{close}"?' if close else ""
