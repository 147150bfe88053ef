"""What can go wrong between ranks.

CoordinationError
├── RankLost              a rank is gone or silent
├── ConnectionLost        the transport to rank 0 is broken (becomes RankLost(0))
├── HaltedElsewhere       an exchange that other ranks will not join, because they have halted
├── ExchangeMismatch      ranks meet in different calls
├── ReportMismatch        ranks' reports do not fit together
│   ├── EpochMismatch     they report different epochs
│   ├── MetricMismatch    a metric is reported by some ranks only
│   └── WeightlessMetric  a metric's weights add up to 0
└── RulingFailed          on the other ranks: rank 0's criteria have raised an error of their own

What goes wrong at a report is raised on every rank alike (MissingMetric of `trainjobs.stopping` too): an error's `args`
are what its constructor takes, they travel as JSON, and each rank builds the same error from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from trainjobs.stopping.observation import MissingMetric

Kinds: TypeAlias = Mapping[str, type[Exception]]
"""Errors that travel between ranks, by the names of their classes."""


class CoordinationError(Exception):
    """Base of all errors between ranks."""


class RankLost(CoordinationError):
    """A rank is gone: no sign of life for the time-out, or it has left before the run was over."""

    def __init__(self, rank: int, last_step: int, timeout_s: float, left: bool = False) -> None:
        super().__init__(rank, last_step, timeout_s, left)
        self.rank = rank
        self.last_step = last_step
        """Training steps it had finished when it was last heard of."""
        self.timeout_s = timeout_s
        self.left = left
        """It said good-bye (its code raised an error), so nobody had to wait for the time-out."""

    def __str__(self) -> str:
        if self.left:
            return (
                f"rank {self.rank} left at step {self.last_step}, before the run was over: see its own error"
            )
        return (
            f"rank {self.rank} has not been heard of for {self.timeout_s:g} s (last at step {self.last_step}): "
            "its process is gone, stopped, or cut off from rank 0"
        )


class ConnectionLost(CoordinationError):
    """A communicator cannot reach rank 0 any more."""


class HaltedElsewhere(CoordinationError):
    """Other ranks halted while this one was on its way into an exchange. Only uneven polls lead here: call halt()."""

    def __str__(self) -> str:
        return "other ranks have halted, so this exchange cannot take place: call halt() instead"


class ExchangeMismatch(CoordinationError):
    """Ranks meet in different calls, such as report() on one and align() on another."""

    def __init__(self, calls: Sequence[str]) -> None:
        super().__init__(list(calls))
        self.calls = tuple(calls)
        """The call each rank is in, in rank order."""

    def __str__(self) -> str:
        where = ", ".join(f"rank {rank} in {call}()" for rank, call in enumerate(self.calls))
        meet = (
            f"ranks meet in different calls: {where}; every rank must make the same calls in the same order"
        )
        return f"{cause}: {meet}" if (cause := self._cause()) else meet

    def _cause(self) -> str:
        """What the training function has done differently, where the calls tell."""
        if ranks := self._in("halt"):
            return (
                f"the training function has returned on {ranks} while others go on, "
                "but every rank must return at the same place"
            )
        if ranks := self._in("report"):
            return f"report() was called on {ranks} only, but every rank must report at the same place"
        return ""

    def _in(self, wanted: str) -> str:
        ranks = [rank for rank, call in enumerate(self.calls) if call == wanted]
        return f"rank{'s' * (len(ranks) > 1)} {_listed(ranks)}" if ranks else ""


class ReportMismatch(CoordinationError):
    """Ranks' reports do not fit together."""


class EpochMismatch(ReportMismatch):
    """Ranks report different epochs."""

    def __init__(self, epochs: Sequence[int]) -> None:
        super().__init__(list(epochs))
        self.epochs = tuple(epochs)
        """In rank order."""

    def __str__(self) -> str:
        where = ", ".join(f"rank {rank} epoch {epoch}" for rank, epoch in enumerate(self.epochs))
        return f"ranks report different epochs: {where}; call report() on every rank, or on none"


class MetricMismatch(ReportMismatch):
    """A metric is reported by some ranks only."""

    def __init__(self, metric: str, present: Sequence[int], absent: Sequence[int]) -> None:
        super().__init__(metric, list(present), list(absent))
        self.metric = metric
        self.present = tuple(present)
        self.absent = tuple(absent)

    def __str__(self) -> str:
        return (
            f"metric {self.metric!r} is reported by ranks {_listed(self.present)} but not by {_listed(self.absent)}: "
            "report the same metrics on every rank; a rank with no data reports (0.0, 0)"
        )


class WeightlessMetric(ReportMismatch):
    """The weights of a metric add up to 0, so it has no mean."""

    def __init__(self, metric: str) -> None:
        super().__init__(metric)
        self.metric = metric

    def __str__(self) -> str:
        return (
            f"metric {self.metric!r} has weight 0 over all ranks: no rank has seen data for it; "
            "leave it out of this report, or check the loader"
        )


class RulingFailed(CoordinationError):
    """Rank 0's criteria have raised an error; rank 0 raises that error itself."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"rank 0 could not rule on the report: {self.kind}: {self.message}"


_PUBLISHED: Kinds = {
    kind.__name__: kind
    for kind in (EpochMismatch, MetricMismatch, WeightlessMetric, MissingMetric, RulingFailed)
}


def below(kind: type[Exception]) -> Kinds:
    """A kind of error and all its subclasses, by name."""
    return {kind.__name__: kind} | {
        name: each for sub in kind.__subclasses__() for name, each in below(sub).items()
    }


def to_dict(error: Exception, kinds: Kinds = _PUBLISHED) -> dict[str, Any]:
    """The error as JSON; one of no such kind, as a criterion of the user's may raise, becomes a RulingFailed."""
    if type(error).__name__ not in kinds:
        error = RulingFailed(type(error).__name__, str(error))
    return {"kind": type(error).__name__, "args": list(error.args)}


def from_dict(fields: Mapping[str, Any], kinds: Kinds = _PUBLISHED) -> Exception:
    return kinds[fields["kind"]](*fields["args"])


def _listed(ranks: Sequence[int]) -> str:
    return ", ".join(map(str, ranks))
