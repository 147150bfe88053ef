"""Whether a state can be read back, found out before it is written.

`torch.load(weights_only=True)`, which runs no code, takes tensors, numbers, strings, lists, dicts and the types that
were allowed with `torch.serialization.add_safe_globals`. Anything else is written without a complaint, and lost.
"""

import io
import pickle
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from trainjobs.exits import DataError

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
    outline = _outline(allowed)
    if _obstacle(states, outline) is None:
        return
    owner = next((owner for owner, state in states.items() if _obstacle(state, outline) is not None), None)
    path, culprit, obstacle = _innermost(states[owner] if owner else states, outline)
    kind = f"{type(culprit).__module__}.{type(culprit).__qualname__}".removeprefix("builtins.")
    raise DataError(
        f"{owner or 'the states'}: state{path} is a {kind}, which could not be read back from a checkpoint "
        f"({obstacle}); {_REMEDY}"
    )


class _Whole(pickle.Pickler):
    """Writes nothing of the types `late`, which are allowed in this process and not yet when the next one reads."""

    late: frozenset[int] = frozenset()

    def reducer_override(self, obj: Any) -> Any:
        if id(obj) in self.late or id(type(obj)) in self.late:
            raise pickle.PicklingError("it was allowed when training had begun")
        return NotImplemented


class _Outline(_Whole):
    """Writes an empty thing for each tensor: the bytes of plain ones torch itself writes and reads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._types: dict[int, torch.dtype] = {}

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, torch.Tensor):
            return super().reducer_override(obj)
        if _is_plain(obj):
            self._remember(obj)
        else:
            _read_back(obj, _module(_Whole, self.late))
        return torch.Size, ((),)

    def _remember(self, tensor: torch.Tensor) -> None:
        place = tensor.untyped_storage().data_ptr()
        if place and self._types.setdefault(place, tensor.dtype) != tensor.dtype:
            raise pickle.PicklingError(
                f"its memory is also seen as {self._types[place]}, here as {tensor.dtype}"
            )


def _outline(allowed: Sequence[Any]) -> Any:
    late = set(torch.serialization.get_safe_globals()) - set(allowed)
    return _module(_Outline, frozenset(id(one[0] if isinstance(one, tuple) else one) for one in late))


def _module(pickler: type[_Whole], late: frozenset[int]) -> Any:
    """What `torch.save` takes as its `pickle_module`."""
    return SimpleNamespace(__name__=__name__, Pickler=type(pickler.__name__, (pickler,), {"late": late}))


def _is_plain(tensor: torch.Tensor) -> bool:
    """Whether it is nothing but bytes, a shape and a type."""
    own_type = type(tensor) not in {torch.Tensor, torch.nn.Parameter}
    return not own_type and tensor.layout is torch.strided and not tensor.is_quantized and not tensor.__dict__


def _obstacle(state: Any, outline: Any) -> str | None:
    """Why `state` could not be read back; None if it could."""
    try:
        _read_back(state, outline)
    except Exception as error:  # whatever a user's own type may raise is the answer
        return sentence(error)
    return None


def _read_back(state: Any, pickle_module: Any) -> None:
    buffer = io.BytesIO()
    torch.save(state, buffer, pickle_module=pickle_module)
    buffer.seek(0)
    torch.load(buffer, map_location="cpu", weights_only=True)


def _innermost(state: Any, outline: Any) -> tuple[str, Any, str]:
    """The place of the smallest part that cannot be read back, the part, and why."""
    path, obstacle, seen = "", _obstacle(state, outline) or "", {id(state)}
    while True:
        for step, part in _parts(state):
            if id(part) not in seen and (inner := _obstacle(part, outline)) is not None:
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
