"""From a vote to the last rank halted: a random rank raises its hand at a random moment of training."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch.distributed as dist
from checks import broadcast_text, coordinated
from figures import Spread
from interleaving import gathered
from workload import Workload

from trainjobs.coordination import Coordinator, Outcome, Vote

EARLIEST_STEPS, LATEST_STEPS = 5, 25
"""The vote falls between these, counted in steps of the usual length from the start of a trial."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one rank saw; times are the machine's monotonic clock, the same in all its processes."""

    halted_s: float
    halted_step: int
    voted_s: float | None = None
    voted_step: int | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """Over all trials, from the vote to the last rank's halt."""

    trials: int
    same_step: int
    """Trials in which every rank halted after the same step."""
    steps: Spread
    """Steps that were finished in between, beyond those of the rank that voted."""
    milliseconds: Spread

    @classmethod
    def of(cls, trials: Sequence[Sequence[Seen]]) -> Latency:
        votes = [next((seen.voted_s, seen.voted_step) for seen in trial if seen.voted_s) for trial in trials]
        ends = [(max(seen.halted_s for seen in trial), _steps(trial)) for trial in trials]
        pairs = list(zip(votes, ends, strict=True))
        return cls(
            trials=len(trials),
            same_step=sum(len(steps) == 1 for _, steps in ends),
            steps=Spread.of([max(steps) - voted for (_, voted), (_, steps) in pairs]),
            milliseconds=Spread.of([1000 * (halted - voted) for (voted, _), (halted, _) in pairs]),
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def latency(work: Workload, step_s: float, trials: int, seed: int = 2) -> Latency:
    """Measure it on `work`, whose step takes `step_s`. Collective."""
    draw = random.Random(seed)
    return Latency.of([gathered(_trial(work, step_s, draw)) for _ in range(trials)])


def _trial(work: Workload, step_s: float, draw: random.Random) -> Seen:
    voter, delay_s = (
        draw.randrange(dist.get_world_size()),
        step_s * draw.uniform(EARLIEST_STEPS, LATEST_STEPS),
    )
    votes: list[tuple[float, int]] = []
    with coordinated(broadcast_text) as coordinator:
        timer = threading.Timer(delay_s, _vote, args=(coordinator, votes))
        dist.barrier()
        if voter == coordinator.rank:
            timer.start()
        steps = _train(work, coordinator)
        halted_s = time.monotonic()
        coordinator.halt(steps)
    return Seen(halted_s, steps, *votes[0]) if votes else Seen(halted_s, steps)


def _vote(coordinator: Coordinator, votes: list[tuple[float, int]]) -> None:
    votes.append((time.monotonic(), coordinator.step))
    coordinator.vote(Vote(coordinator.rank, Outcome.STOP_REQUESTED, "a hand was raised"))


def _train(work: Workload, coordinator: Coordinator) -> int:
    """Steps done when the coordinator said halt."""
    steps = 0
    while True:
        work.step()
        steps += 1
        if coordinator.poll():
            return steps


def _steps(trial: Sequence[Seen]) -> set[int]:
    return {seen.halted_step for seen in trial}
