"""How far the ranks' own gradients agree: told before DDP has averaged them, and without validation data.

DDP lets a hook exchange the gradients. Ours does what DDP does, and compares a rank's own gradient with the mean.
What a rank adds up is its own; the ranks' figures are averaged with the metrics of a report, so nothing more is sent.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

from trainjobs.api.stopping import GRADIENT_DISPARITY, GRADIENT_EVIDENCE
from trainjobs.exits import ConfigError

AT_FIRST: Final = 8
"""Steps after a report that are looked at, each of them."""
THEN: Final = 32
"""Of the steps after them every such one: a look is some passes over the gradients, and a mean needs no more."""
MOST: Final = 1 << 17
"""Parameters of a bucket that are looked at, evenly spaced: a mean over more of them would cost and tell no more."""


@dataclass(slots=True)
class Sums:
    """Of the gradients that DDP exchanges together, over the steps looked at since the last report.

    A look allocates nothing: on a CPU fresh memory costs more than the arithmetic.
    """

    squares: torch.Tensor
    """Of the mean gradient, for each parameter."""
    deviations: torch.Tensor
    """Squares of what this rank's gradient differs from the mean by, for each parameter."""
    own: torch.Tensor
    """This rank's gradient, of the backward pass under way."""
    stride: int = 1
    """Of the parameters every such one is looked at."""
    pending: torch.Tensor | None = None
    """The difference in the step under way, over the batches before that it accumulates."""
    steps: int = 0

    @classmethod
    def like(cls, gradient: torch.Tensor) -> "Sums":
        stride = -(-len(gradient) // MOST)
        seen = gradient[::stride]
        squares, deviations, own = (torch.zeros_like(seen, dtype=torch.float32) for _ in range(3))
        return cls(squares, deviations, own, stride)

    def hold(self, own: torch.Tensor) -> None:
        """This rank's gradient, before the exchange."""
        self.own.copy_(own[:: self.stride])

    def compare(self, mean: torch.Tensor, scale: float, *, completes: bool) -> None:
        """After the exchange; the last backward pass of a step has the gradient that the optimizer takes.

        Args:
            mean: the gradient of all ranks.
            scale: by which it is too large, as the one held is.
            completes: whether it is the last pass.
        """
        mean = mean[:: self.stride]
        difference = self.own.sub_(mean)
        if self.pending is not None:
            difference = self.pending.add_(difference)
        if not completes:
            self.pending = difference.clone() if self.pending is None else self.pending
            return
        self.pending = None
        if scale == 1.0 or bool(torch.isfinite(difference).all()):  # an overflow of float16 is no step
            whole = mean.float()
            self.squares.addcmul_(whole, whole, value=scale**-2)
            self.deviations.addcmul_(difference, difference, value=scale**-2)
            self.steps += 1

    def clear(self) -> None:
        """Begin anew, in the same memory."""
        self.squares.zero_()
        self.deviations.zero_()
        self.steps = 0

    def ratios(self, ranks: int) -> torch.Tensor:
        """The squared mean gradient over its variance, for each parameter that has one; 1 where there is noise alone.

        A ratio of n squares to n others is n / (n - 2) on average: that is taken out.
        """
        noisy = self.deviations > 0
        ratios = (ranks - 1) * self.squares[noisy] / self.deviations[noisy]
        return ratios * ((self.steps - 2) / self.steps if self.steps > 2 else 1.0)

    def disparity(self, ranks: int) -> float:
        """This rank's part in the mean over all pairs of ranks of their gradients' squared distance."""
        return float(self.deviations.sum()) * self.stride * 2 * ranks / (ranks - 1) / self.steps


class GradientStatistics:
    """One worker's statistics of its prepared models.

    Args:
        judged: names of the metrics that criteria read.
        ranks: how many; with one there is nothing to compare.
        scale: gives the factor by which gradients are too large, as a gradient scaler has it.
        completes: tells whether the backward pass under way is the last one of its step.

    Raises:
        ConfigError: a criterion reads such a metric, and there is one rank.
    """

    def __init__(
        self,
        judged: Collection[str],
        ranks: int,
        scale: Callable[[], float] = lambda: 1.0,
        completes: Callable[[], bool] = lambda: True,
    ) -> None:
        self._wanted = frozenset(judged) & {GRADIENT_EVIDENCE, GRADIENT_DISPARITY}
        if self._wanted and ranks == 1:
            raise ConfigError(
                f"spec.stopping: {', '.join(sorted(self._wanted))}: compares gradients of workers, and there is one; "
                "raise numNodes or numProcPerNode, or take a criterion on a validation metric"
            )
        self._ranks = ranks
        self._scale = scale
        self._completes = completes
        self._sums: dict[tuple[int, ...], Sums] = {}
        self._passed: set[tuple[int, ...]] = set()
        """What DDP has exchanged in the backward pass under way."""
        self._steps = 0
        self._last: dict[str, tuple[float, float]] = {}

    @property
    def wanted(self) -> bool:
        """Whether a criterion asks."""
        return bool(self._wanted)

    def watch(self, model: DistributedDataParallel) -> None:
        """Look at the gradients of a model, if a criterion asks. It can have no other communication hook then."""
        if self._wanted:
            model.register_comm_hook(model.process_group, self._exchange)

    def figures(self) -> dict[str, tuple[float, float]]:
        """The metrics of the steps since the last report, as (value, weight); where there were none, the last ones.

        This is where a device is waited for. A checkpoint keeps them, and not the sums, which are too large for it.
        """
        seen = [sums for sums in self._sums.values() if sums.steps]
        if not seen:
            return dict(self._last)
        ratios = [(sums.stride, sums.ratios(self._ranks)) for sums in seen]
        parameters = sum(stride * len(each) for stride, each in ratios)
        total = sum(stride * float(each.sum()) for stride, each in ratios)
        found = {
            GRADIENT_EVIDENCE: 1 - total / parameters if parameters else 0.0,
            GRADIENT_DISPARITY: sum(sums.disparity(self._ranks) for sums in seen),
        }
        return {name: (found[name], 1.0) for name in self._wanted}

    def drain(self) -> dict[str, tuple[float, float]]:
        """The figures of now; steps are looked at anew from here."""
        self._last = self.figures()
        for sums in self._sums.values():
            sums.clear()
        self._steps = 0
        return dict(self._last)

    def restore(self, figures: Mapping[str, tuple[float, float]]) -> None:
        """Go on from a checkpoint's figures, which stand until there is a step."""
        self._last = {name: figures[name] for name in self._wanted & figures.keys()}

    def _exchange(
        self,
        group: Any,
        bucket: dist.GradBucket,  # type: ignore[name-defined]  # DDP insists on it
    ) -> torch.futures.Future[torch.Tensor]:
        """DDP's hook: the mean over its process group of a `GradBucket`."""
        gradient = bucket.buffer()
        looks = (self._steps < AT_FIRST or self._steps % THEN == 0) and not gradient.is_sparse
        sums = self._holding(bucket, gradient) if looks else None
        completes = self._completes()
        self._steps += bucket.is_last() and completes
        future: torch.futures.Future[torch.Tensor] = allreduce_hook(group, bucket)
        if sums is None:
            return future

        def compared(done: torch.futures.Future[torch.Tensor]) -> torch.Tensor:
            sums.compare(done.value(), self._scale(), completes=completes)
            return done.value()

        return future.then(compared)

    def _holding(self, bucket: Any, gradient: torch.Tensor) -> Sums:
        """The sums of a bucket's parameters; what DDP has divided anew after its first step is forgotten."""
        key = tuple(map(id, bucket.parameters()))
        self._passed.add(key)
        if bucket.is_last():
            if not self._passed >= self._sums.keys():
                self._sums = {known: sums for known, sums in self._sums.items() if known in self._passed}
            self._passed = set()
        sums = self._sums.get(key) or self._sums.setdefault(key, Sums.like(gradient))
        sums.hold(gradient)
        return sums
