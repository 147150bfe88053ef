"""The figures of one step length on one number of ranks, as JSON and as a table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from checks import NONE, POLL
from figures import Difference, Spread
from interleaving import Row
from votes import Latency

BAR_MEDIAN_NS, BAR_P99_NS = 1_000, 10_000
"""What `poll` alone shall cost at most."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All figures of one step length on one number of ranks."""

    world_size: int
    target_ms: float
    batch: int
    rows: Sequence[Row]
    poll_ns: Spread | None
    """`poll` back to back, without training between."""
    latency: Latency | None
    """Measured, like the one above, in the spawned processes only."""
    waits: Mapping[str, float]
    """Host waits for the accelerator in one step, by variant; empty on a CPU."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "world_size": self.world_size,
            "target_ms": self.target_ms,
            "batch": self.batch,
            "variants": [row.to_dict() for row in self.rows],
            "poll_back_to_back_ns": asdict(self.poll_ns) if self.poll_ns else None,
            "vote_to_last_halt": self.latency.to_dict() if self.latency else None,
            "host_waits_per_step": dict(self.waits),
        }


def table(scene: Scene, place: str) -> list[str]:
    """A scene for people to read."""
    head = (
        f"{'':34}{'step ms':>10}{'p99':>10}{'ratio':>8}{'check us':>11}{'p99':>10}"
        f"{'step with - without, us':>26}{'95 %':>20}{'sign p':>9}"
    )
    lines = [_title(scene, place), head, *(_line(row) for row in scene.rows), *_poll_lines(scene)]
    lines += [f"host waits a step: {scene.waits}"] if scene.waits else []
    return [*lines, _latency_line(scene.latency)] if scene.latency else lines


def _title(scene: Scene, place: str) -> str:
    ranks, cores = scene.world_size, len(os.sched_getaffinity(0))
    shared = f" (they share {cores} cores)" if ranks > cores and not torch.cuda.is_available() else ""
    step = f"a step of {scene.rows[0].step_ms.median:.1f} ms (wanted: {scene.target_ms:g})"
    return f"\n{ranks} ranks{shared}, {step}, batch {scene.batch} {place}".rstrip()


def _line(row: Row) -> str:
    step, check, gap = row.step_ms, row.check_ns, row.difference_us
    interval = f"[{gap.low:.1f}, {gap.high:.1f}]"
    return (
        f"{row.name:34}{step.median:10.3f}{step.p99:10.3f}{row.ratio:8.3f}"
        f"{check.median / 1000:11.2f}{check.p99 / 1000:10.2f}{gap.median:26.1f}{interval:>20}{gap.sign_p:9.3f}"
    )


def _poll_lines(scene: Scene) -> list[str]:
    found = {row.name: row for row in scene.rows}
    poll, empty = found[POLL].check_ns, found[NONE].check_ns
    lines = [
        f"poll alone, after a step: {_of(poll)}, {poll.median - empty.median:.0f} ns more than an empty function"
    ]
    if scene.poll_ns:
        lines += [f"poll alone, back to back: {_of(scene.poll_ns)}"]
    return [*lines, f"a step with poll: {_verdict(found[POLL].difference_us)} one without"]


def _verdict(difference: Difference) -> str:
    if not difference.distinguishable:
        return "not distinguishable from"
    return f"distinguishable, {abs(difference.median):.1f} us {'slower' if difference.median > 0 else 'faster'} than"


def _of(spread: Spread) -> str:
    met = "met" if spread.median <= BAR_MEDIAN_NS and spread.p99 <= BAR_P99_NS else "missed"
    return (
        f"median {spread.median:.0f} ns, p99 {spread.p99:.0f} ns (bars {BAR_MEDIAN_NS}, {BAR_P99_NS}: {met})"
    )


def _latency_line(found: Latency) -> str:
    steps, span = found.steps, found.milliseconds
    return (
        f"vote to last rank halted: {steps.median:g} steps, {span.median:.2f} ms (median), "
        f"{steps.maximum:g} steps, {span.maximum:.2f} ms (max) of {found.trials}; "
        f"all ranks after the same step in {found.same_step}"
    )
