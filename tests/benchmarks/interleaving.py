"""Variants of a training step in turns, so that whatever drifts on the machine hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.distributed as dist
from checks import NONE, Check
from figures import Difference, Spread


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: every round has one block of steps of each variant."""

    rounds: int
    steps: int
    warm_up: int = 4
    """Steps at the start of a block that are not counted."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive steps of one variant on one rank."""

    step_ms: tuple[float, ...]
    check_ns: tuple[int, ...]
    """The main thread's time in the check alone, one reading of the clock included."""


Blocks = Mapping[str, Sequence[Block]]
"""By variant, one block a round."""


@dataclass(frozen=True, slots=True)
class Row:
    """One variant's figures, over all ranks."""

    name: str
    step_ms: Spread
    ratio: float
    """Of the median step to that of no check."""
    check_ns: Spread
    difference_us: Difference
    """Of a step to one with no check, paired by round (each the median of a block)."""

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "distinguishable": self.difference_us.distinguishable}


class HostMarks:
    """Points in time on a CPU."""

    def __init__(self) -> None:
        self._times: list[int] = []

    def mark(self) -> None:
        self._times.append(time.perf_counter_ns())

    def spans_ms(self) -> tuple[float, ...]:
        """Between one mark and the next."""
        return tuple(
            (after - before) / 1e6 for before, after in zip(self._times, self._times[1:], strict=False)
        )


class StreamMarks:
    """Points in the work of a CUDA stream; marking waits for nothing."""

    def __init__(self) -> None:
        self._events: list[torch.cuda.Event] = []

    def mark(self) -> None:
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._events.append(event)

    def spans_ms(self) -> tuple[float, ...]:
        """Between one mark and the next. Waits for the stream."""
        torch.cuda.synchronize()
        pairs = zip(self._events, self._events[1:], strict=False)
        return tuple(before.elapsed_time(after) for before, after in pairs)


def interleaved(step: Callable[[], None], checks: Mapping[str, Check], plan: Plan) -> Blocks:
    """Measure every check after every step, in turns. Collective."""
    blocks: dict[str, list[Block]] = {name: [] for name in checks}
    for number in range(plan.rounds):
        for name in balanced(list(checks), number):
            _block(step, checks[name], plan.warm_up)
            blocks[name].append(_block(step, checks[name], plan.steps))
    return blocks


def balanced(names: Sequence[str], number: int) -> list[str]:
    """The order of round `number`: over as many rounds as there are names, each one follows every other once.

    Of an odd number, over twice as many rounds, twice: the second half is the first one's mirror image. It is a
    Williams square (E. J. Williams, "Experimental Designs Balanced for the Estimation of Residual Effects of
    Treatments", 1949).
    """
    count = len(names)
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]
    order = [names[(offset + number) % count] for offset in zigzag]
    return order[::-1] if count % 2 and number // count % 2 else order


def _block(step: Callable[[], None], check: Check, count: int) -> Block:
    marks = StreamMarks() if torch.cuda.is_available() else HostMarks()
    check_ns = []
    marks.mark()
    for _ in range(count):
        step()
        began = time.perf_counter_ns()
        stop = check()
        check_ns.append(time.perf_counter_ns() - began)
        marks.mark()
        if stop:
            raise RuntimeError("a check said stop, and nobody had asked for it")
    return Block(marks.spans_ms(), tuple(check_ns))


def back_to_back_ns(check: Check, calls: int = 20_000) -> list[int]:
    """The check alone, with its code and data in the processor's caches, which a training step pushes out."""
    spans = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        check()
        spans.append(time.perf_counter_ns() - began)
    return spans


def gathered(mine: Any) -> list[Any]:
    """Every rank's object, in rank order. Collective."""
    everyone: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(everyone, mine)
    return everyone


def rows(ranks: Sequence[Blocks]) -> list[Row]:
    """The figures of every variant, from the blocks of every rank."""
    baseline = _round_medians(ranks, NONE)
    no_check_ms = statistics.median(_pooled(ranks, NONE))
    return [_row(ranks, name, baseline, no_check_ms) for name in ranks[0]]


def _row(ranks: Sequence[Blocks], name: str, baseline: Sequence[float], no_check_ms: float) -> Row:
    step_ms = Spread.of(_pooled(ranks, name))
    check_ns = Spread.of([ns for blocks in ranks for block in blocks[name] for ns in block.check_ns])
    difference = Difference.of(
        [1000 * ms for ms in _round_medians(ranks, name)], [1000 * ms for ms in baseline]
    )
    return Row(name, step_ms, step_ms.median / no_check_ms, check_ns, difference)


def _pooled(ranks: Sequence[Blocks], name: str) -> list[float]:
    return [ms for blocks in ranks for block in blocks[name] for ms in block.step_ms]


def _round_medians(ranks: Sequence[Blocks], name: str) -> list[float]:
    rounds = zip(*(blocks[name] for blocks in ranks), strict=True)
    return [statistics.median([ms for block in blocks for ms in block.step_ms]) for blocks in rounds]
