"""Numbers as people read them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainjobs.api import Length
    from trainjobs.stopping import Saving

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def count(amount: int, noun: str) -> str:
    """`1 epoch`, `1,200 epochs`."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def spot(length: "Length | None", epoch: int, step: int) -> str:
    """Where in a run something is: its epoch, or the step where the run's length is one of steps."""
    epochs, steps = f"epoch {epoch:,}", f"step {step:,}"
    return length.named(epochs, steps) if length else epochs


def baseline(length: "Length") -> str:
    """What an estimate of savings is measured against, in parentheses."""
    return f"(an estimate against your own {length.field} {length.amount:,})"


def unspent(saving: "Saving", whole: bool, length: "Length") -> str:
    """`27 epochs`, `3,800 steps`; `less than 28 epochs` for a stop amid one."""
    amount = length.named(saving.epochs, saving.steps)
    less = length.named("" if whole else "less than ", "")
    return f"{less}{count(amount, length.unit)}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `1 h 12 min`, `2 d 3 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, name, part, part_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"


def measures(metrics: Mapping[str, float]) -> str:
    """`loss 0.072 · accuracy 0.981`."""
    from trainjobs.stopping.wording import number

    return " · ".join(f"{name} {number(value)}" for name, value in metrics.items())


def steps_of_ranks(steps: Mapping[int, int]) -> str:
    """`step 1,890 on all 2 ranks`, or each rank's own step where they differ."""
    if len(set(steps.values())) == 1:
        step = next(iter(steps.values()))
        return f"step {step:,} on {'the only rank' if len(steps) == 1 else f'all {len(steps)} ranks'}"
    return "steps differ: " + ", ".join(f"rank {rank} at {step:,}" for rank, step in sorted(steps.items()))
