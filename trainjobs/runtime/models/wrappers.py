"""A model's own state, whatever it is wrapped in.

`DistributedDataParallel`, `torch.compile` and `AveragedModel` put a model into a module of their own, which prefixes
its keys: `module.`, `_orig_mod.`. How a model is wrapped differs with the number of workers and from one day to the
next, so what is written has the keys of the model alone. Wrappers are told by their type, at any depth of the module
tree: a submodule that the user named `module` keeps its name.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

_AVERAGED = AveragedModel.__name__
_COUNT = f"{_AVERAGED}.n_averaged"
"""The one tensor that a wrapper adds: how many models were averaged. A resume needs it, a plain model knows no such."""

_PREFIXES = frozenset({"module", "_orig_mod", _AVERAGED})


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The user's own model inside the wrappers."""
    return _layers(module)[-1]


def own_state(module: torch.nn.Module) -> Mapping[str, Any]:
    """Its state under the model's own keys, and the counts of models averaged. Tensors are not copied."""
    *wrappers, core = _layers(module)
    state: Mapping[str, Any] = core.state_dict()
    if any(_inner(part) for part in core.modules()):
        state = {_own_key(core, key): value for key, value in state.items()}
    counts = {key: average.n_averaged for key, average in _counts(wrappers)}
    return {**counts, **state} if counts else state


def own_weights(module: torch.nn.Module) -> dict[str, Any]:
    """What the plain model loads: `own_state` without the counts."""
    return {key: value for key, value in own_state(module).items() if not key.endswith(_COUNT)}


def load_own_state(module: torch.nn.Module, state: Mapping[str, Any]) -> None:
    """Load what `own_state` gave, also of a model that was wrapped otherwise, or keys with prefixes.

    Raises:
        RuntimeError, KeyError, ValueError: it is the state of another model.
    """
    *wrappers, core = _layers(module)
    state = _fitted(state, own_state(module))
    for key, average in _counts(wrappers):
        average.n_averaged.copy_(state[key])
    counts = {key for key, _ in _counts(wrappers)}
    if any(_inner(part) for part in core.modules()):
        keys = {_own_key(core, key): key for key in core.state_dict()}
        state = {keys.get(key, key): value for key, value in state.items() if key not in counts}
    elif counts:
        state = {key: value for key, value in state.items() if key not in counts}
    core.load_state_dict(state)


def _inner(module: torch.nn.Module | None) -> str:
    """Under which name a wrapper holds the model; "" when it is none."""
    if isinstance(module, DistributedDataParallel | DataParallel | AveragedModel):
        return "module"
    # Who compiles has imported it; importing it for everybody would take seconds.
    compiler = sys.modules.get("torch._dynamo.eval_frame")
    return "_orig_mod" if compiler and isinstance(module, compiler.OptimizedModule) else ""


def _layers(module: torch.nn.Module) -> list[torch.nn.Module]:
    """The wrappers from the outside in, and the model."""
    layers = [module]
    while name := _inner(layers[-1]):
        layers.append(layers[-1].get_submodule(name))
    return layers


def _counts(wrappers: list[torch.nn.Module]) -> Iterator[tuple[str, AveragedModel]]:
    averages = [wrapper for wrapper in wrappers if isinstance(wrapper, AveragedModel)]
    for depth, average in enumerate(averages):
        yield f"{_AVERAGED}." * depth + _COUNT, average


def _own_key(core: torch.nn.Module, key: str) -> str:
    """A key of `core.state_dict()` without the wrappers that lie on its way."""
    own: list[str] = []
    averages: list[str] = []
    at: torch.nn.Module | None = core
    for segment in key.split("."):
        if at is not None and segment == _inner(at):
            averages += [_AVERAGED] * isinstance(at, AveragedModel)
        else:
            own += [*averages, _AVERAGED, segment] if isinstance(at, AveragedModel) else [segment]
            averages = []
        at = dict(at.named_children()).get(segment) if at is not None else None
    return ".".join(own)


def _fitted(state: Mapping[str, Any], wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """`state` under the keys that are wanted if only wrappers tell them apart, else as it is.

    Both list the same tensors in the same order, so that keys which are alike without any prefix, real ones included,
    still find each other.
    """
    if state.keys() == wanted.keys():
        return state
    there, here = _by_bare_name(state), _by_bare_name(wanted)
    if {name: len(keys) for name, keys in there.items()} != {name: len(keys) for name, keys in here.items()}:
        return state
    pairs = chain.from_iterable(zip(here[name], there[name], strict=True) for name in here)
    return {mine: state[theirs] for mine, theirs in pairs}


def _by_bare_name(keys: Mapping[str, Any]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for key in keys:
        found[".".join(part for part in key.split(".") if part not in _PREFIXES)].append(key)
    return found
