"""Sums of metrics between two reports, kept on the device so that logging a metric waits for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

_WANTED = "give a number, a tensor with one element, or a pair (sum, weight)"


class Meters:
    """Sums and weights by metric name."""

    def __init__(self) -> None:
        self._sums: dict[str, Any] = {}
        self._weights: dict[str, Any] = {}
        self.without_data = False
        """An evaluation since the last report has had no batch on this rank, so it could add nothing."""

    def add(self, name: str, value: object) -> None:
        """Add a number (weight 1) or a pair (sum, weight); numbers and one-element tensors both do."""
        total, weight = _pair(name, value)
        self._sums[name] = self._sums.get(name, 0.0) + total
        self._weights[name] = self._weights.get(name, 0.0) + weight

    def drain(self) -> dict[str, tuple[float, float]]:
        """All of them as (sum, weight), which empties the meters. This is where a device is waited for.

        Raises ValueError for weights that add up to no weight.
        """
        pairs = self._pairs()
        for name, (_, weight) in pairs.items():
            if not 0 <= weight < math.inf:
                raise ValueError(f"metric {name}: the weights add up to {weight:g}; a weight is 0 or more")
        self._sums, self._weights, self.without_data = {}, {}, False
        return pairs

    def take(self, other: Meters) -> None:
        """Add all of another's, which empties that."""
        self.without_data |= other.without_data
        for name, pair in other.drain().items():
            self.add(name, pair)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, by its names there."""
        return {"meters": self._pairs(), "without data": self.without_data}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state; an older checkpoint's has the sums alone."""
        self._sums = {name: total for name, (total, _) in state["meters"].items()}
        self._weights = {name: weight for name, (_, weight) in state["meters"].items()}
        self.without_data = state.get("without data", False)

    def _pairs(self) -> dict[str, tuple[float, float]]:
        return {name: (float(total), float(self._weights[name])) for name, total in self._sums.items()}


def _pair(name: str, value: object) -> tuple[Any, Any]:
    if not (name.isascii() or _encodable(name)):
        raise ValueError(f"metric {name!r}: a name with half a character (a lone surrogate); give it as text")
    total, weight = value if isinstance(value, tuple) and len(value) == 2 else (value, 1.0)
    return _number(name, total), _number(name, weight)


def _encodable(text: str) -> bool:
    try:
        return bool(text.encode())
    except UnicodeEncodeError:
        return False


def _number(name: str, value: object) -> Any:
    if isinstance(value, torch.Tensor):
        if value.numel() != 1:
            raise TypeError(f"metric {name}: a tensor of shape {tuple(value.shape)}; {_WANTED}")
        return value.detach().reshape(()).double()
    try:
        if not isinstance(value, str | bytes):  # `float` would read a text
            return float(value)  # type: ignore[arg-type]
    except OverflowError as error:
        raise OverflowError(f"metric {name}: {error}") from None
    except (TypeError, ValueError):
        pass
    raise TypeError(f"metric {name}: {value!r}; {_WANTED}")
