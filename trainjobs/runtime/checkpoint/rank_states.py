"""States of tracked objects that are not the same on every rank: counters, samplers, replay statistics.

A checkpoint holds rank 0's objects. At a save the ranks compare theirs by digest, and a rank whose state is another
hands over its own, which it gets back at a resume. Models and optimizers are too large for that: they are rank 0's,
and a run in which ranks train them apart is told once. Only a model's buffers are each rank's own where DDP leaves them
so, with `broadcast_buffers=False` or amid gradients that are accumulated.
"""

import hashlib
import io
import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from trainjobs.exits import DataError
from trainjobs.runtime.checkpoint.sums import sums

LIMIT_BYTES = 16 << 20
"""What all ranks' states of one object may take together: they pass through rank 0's memory at every save."""

Exchange = Callable[[bytes], tuple[bytes, ...]]
Entry = tuple[str, int]
"""A digest and the bytes of what it is of; an object beyond the limit has a digest at the first save only."""


@dataclass
class RankStates:
    """Compares one rank's objects with the others' at each save.

    Args:
        exchange: `Coordinator.exchange`.
        warn: takes a sentence for the user.
    """

    exchange: Exchange
    warn: Callable[[str], None]
    _compared: set[str] = field(default_factory=set, init=False)
    _warned: set[str] = field(default_factory=set, init=False)

    def apart(self, objects: Mapping[str, object], states: Mapping[str, Any]) -> dict[str, Any]:
        """This rank's states that are another on rank 0, and that it is to get back. Collective.

        Args:
            objects: the tracked objects by name.
            states: what is about to be saved of each.

        Raises:
            DataError: on every rank, when one rank's state cannot be packed.
        """
        own = self._entries(objects, states)
        everyone = self._everyone(own)
        mine = {}
        for name in sorted(set().union(*everyone)):
            entries = [entries.get(name) for entries in everyone]
            if None in entries:
                self._warn_once(name, _untracked(name, entries.index(None)))
            elif len({digest for digest, _ in filter(None, entries)}) == 1:
                continue
            elif not _is_kept(objects[name], entries):
                self._warn_once(name, _not_kept(name, objects[name]))
            elif own[name][0] != everyone[0][name][0]:
                mine[name] = states[name]
        self._compared |= objects.keys()
        return mine

    def apart_buffers(self, buffers: Mapping[str, Mapping[str, torch.Tensor]]) -> dict[str, Any]:
        """The same of the models' buffers that each rank has of its own, by the model's name. Collective."""
        named = {f"what {name} holds in buffers": name for name in buffers}
        states = {words: buffers[name] for words, name in named.items()}
        return {named[words]: own for words, own in self.apart(dict.fromkeys(named), states).items()}

    def _entries(self, objects: Mapping[str, object], states: Mapping[str, Any]) -> dict[str, Any]:
        """This rank's digests by name, or the reason why it has none."""
        entries: dict[str, Entry] = {}
        for name, thing in objects.items():
            try:
                entries[name] = self._entry(name, thing, states[name])
            except (pickle.PickleError, AttributeError, TypeError, ValueError, RuntimeError) as error:
                return {"": f"the state of {name} cannot be saved: {error}"}
        return entries

    def _entry(self, name: str, thing: object, state: Any) -> Entry:
        """Weights are compared once: they are synchronised or they are not, and summing them takes time."""
        if isinstance(thing, torch.nn.Module):
            return ("" if name in self._compared else _checksum(_compared_tensors(thing))), 0
        size = _size(state)
        if isinstance(thing, torch.optim.Optimizer) or size > LIMIT_BYTES:
            return ("" if name in self._compared else _checksum(_tensors(state))), size
        packed = _packed(state)
        return hashlib.blake2b(packed, digest_size=16).hexdigest(), len(packed)

    def _everyone(self, entries: Mapping[str, Any]) -> list[dict[str, Any]]:
        everyone: list[dict[str, Any]] = [
            json.loads(piece) for piece in self.exchange(json.dumps(entries).encode())
        ]
        for rank, other in enumerate(everyone):
            if "" in other:
                raise DataError(
                    f"rank {rank}: {other['']}. Let its state_dict() hold only tensors, numbers, strings, lists and "
                    "dicts"
                )
        return everyone

    def _warn_once(self, name: str, message: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            self.warn(message)


def _is_kept(thing: object, entries: list[Any]) -> bool:
    heavy = isinstance(thing, torch.nn.Module | torch.optim.Optimizer)
    return not heavy and sum(size for _, size in entries) <= LIMIT_BYTES


def _untracked(name: str, rank: int) -> str:
    return (
        f"rank {rank} does not track {name}, which other ranks do: a resume would fail there; "
        "call run.track alike on every rank"
    )


def _not_kept(name: str, thing: object) -> str:
    if isinstance(thing, torch.nn.Module | torch.optim.Optimizer):
        return (
            f"{name} is not the same on every rank; checkpoints hold rank 0's, which every rank gets at a resume. "
            "run.prepare_model before training keeps a model the same"
        )
    return (
        f"{name} is not the same on every rank and takes more than {LIMIT_BYTES >> 20} MiB on all of them; "
        "checkpoints hold rank 0's, which every rank gets at a resume"
    )


def _compared_tensors(module: torch.nn.Module) -> list[torch.Tensor]:
    """The weights that DDP does not keep the same. Buffers are looked at by themselves."""
    inside = [part for part in module.modules() if isinstance(part, DistributedDataParallel)]
    same = {id(parameter) for part in inside for parameter in part.parameters()}
    return [weight for weight in module.parameters() if id(weight) not in same]


def _checksum(tensors: Iterator[torch.Tensor] | list[torch.Tensor]) -> str:
    return json.dumps([int(total) for total in sums(tensors)])


def _tensors(state: Any) -> Iterator[torch.Tensor]:
    for leaf in _leaves(state):
        if isinstance(leaf, torch.Tensor):
            yield leaf


def _size(state: Any) -> int:
    """Bytes of tensors and texts; numbers are taken for eight."""
    return sum(_bytes(leaf) for leaf in _leaves(state))


def _bytes(leaf: Any) -> int:
    if isinstance(leaf, torch.Tensor):
        return leaf.numel() * leaf.element_size()
    return len(leaf) if isinstance(leaf, str | bytes) else 8


def _leaves(state: Any) -> Iterator[Any]:
    if isinstance(state, Mapping):
        for value in state.values():
            yield from _leaves(value)
    elif isinstance(state, list | tuple):
        for value in state:
            yield from _leaves(value)
    else:
        yield state


def _packed(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()
