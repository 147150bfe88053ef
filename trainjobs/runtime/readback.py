"""Whether a state can be read back, found out before it is written.

`torch.load(weights_only=True)`, which runs no code, takes tensors, numbers, strings, lists, dicts and the types that
were allowed with `torch.serialization.add_safe_globals`. Anything else is written without a complaint, and lost.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch

from trainjobs.runtime.exits import DataError

_REMEDY = (
    "let its state_dict() hold only tensors, numbers, strings, lists and dicts (for a NumPy value: .item() or "
    "torch.from_numpy), or allow the type with torch.serialization.add_safe_globals at the top of the module of "
    "the training function, where that is in force before a checkpoint is read"
)


def check(states: Mapping[str, Any], allowed: Sequence[Any]) -> None:
    """Write and read `states` with nothing in place of their tensors; some 10 µs for each value.

    A tensor of a type of its own is written and read whole: how it does that only it knows.

    Args:
        states: by the words that name them in an error.
        allowed: of `torch.serialization.get_safe_globals()`, what will be allowed when they are read.

    Raises:
        DataError: a state cannot be read back; names it and the place inside.
    """
    with _allowing(allowed):
        if _obstacle(states) is None:
            return
        owner = next((owner for owner, state in states.items() if _obstacle(state) is not None), None)
        path, culprit, obstacle = _innermost(states[owner] if owner else states)
    kind = f"{type(culprit).__module__}.{type(culprit).__qualname__}".removeprefix("builtins.")
    raise DataError(
        f"{owner or 'the states'}: state{path} is a {kind}, which could not be read back from a checkpoint "
        f"({obstacle}); {_REMEDY}"
    )


class _Outline(pickle.Pickler):
    """Writes an empty thing for a tensor whose bytes torch itself writes and reads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._types: dict[int, torch.dtype] = {}

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, torch.Tensor):
            return NotImplemented
        if not _is_plain(obj):
            _read_back(obj, pickle)
            return torch.Size, ((),)
        place = obj.untyped_storage().data_ptr()
        if place and self._types.setdefault(place, obj.dtype) != obj.dtype:
            raise pickle.PicklingError(
                f"its memory is also seen as {self._types[place]}, here as {obj.dtype}"
            )
        return torch.Size, ((),)


_OUTLINE = SimpleNamespace(__name__="outline", Pickler=_Outline)


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether it is nothing but bytes, a shape and a type."""
    own_type = type(tensor) not in {torch.Tensor, torch.nn.Parameter}
    return not own_type and tensor.layout is torch.strided and not tensor.is_quantized and not tensor.__dict__


def _obstacle(state: Any) -> str | None:
    """Why `state` could not be read back; None if it could."""
    try:
        _read_back(state, _OUTLINE)
    except Exception as error:  # whatever a user's own type may raise is the answer
        return sentence(error)
    return None


def _read_back(state: Any, pickle_module: Any) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer, pickle_module=pickle_module)
    buffer.seek(0)
    torch.load(buffer, map_location="cpu", weights_only=True)


def _innermost(state: Any) -> tuple[str, Any, str]:
    """The place of the smallest part that cannot be read back, the part, and why."""
    path, obstacle, seen = "", _obstacle(state) or "", {id(state)}
    while True:
        for step, part in _parts(state):
            if id(part) not in seen and (inner := _obstacle(part)) is not None:
                path, state, obstacle = path + step, part, inner
                seen.add(id(part))
                break
        else:
            return path, state, obstacle


def _parts(state: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(state, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in state.items())
        yield from ((f": its key {key!r}", key) for key in state)
    elif isinstance(state, (list, tuple)):
        yield from ((f"[{index}]", value) for index, value in enumerate(state))
    elif isinstance(state, (set, frozenset)):
        yield from ((f": its member {value!r}", value) for value in state)


def sentence(error: Exception) -> str:
    """What it says, without torch's advice to read files that nobody can vouch for."""
    text = str(error).partition("WeightsUnpickler error: ")[2] or str(error)
    return text.strip().partition("\n")[0].partition(" Please use ")[0] or type(error).__name__


@contextmanager
def _allowing(allowed: Sequence[Any]) -> Iterator[None]:
    now = torch.serialization.get_safe_globals()
    if set(now) == set(allowed):
        yield
        return
    try:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(list(allowed))
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(now)
