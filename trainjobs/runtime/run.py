"""`Run`: what a training function is called with, on every rank.

    def train(run: Run) -> None:
        model = run.prepare_model(Net())
        optimizer = torch.optim.SGD(model.parameters(), lr=run.config["learningRate"])
        loader = run.prepare_loader(train_set, batch_size=64, shuffle=True)
        run.track(model=model, optimizer=optimizer)
        for epoch in run.epochs():
            for x, y in run.steps(loader):
                ...
            for x, y in run.batches(validation_loader):
                ...
            run.report(val_loss=(loss_sum, n))

The loops are where a run halts: `epochs`, `steps` and `batches` end on a stop, on every rank at the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset

from trainjobs.coordination import Decision
from trainjobs.runtime.journey import Journey
from trainjobs.runtime.loaders import ShardBatches, batch_count, batches_from, sharded_loader, to_device
from trainjobs.runtime.parallel import prepared, without_sync


@dataclass(frozen=True, slots=True)
class Lent:
    """A batch in the hands of the training function."""

    batch: Any
    done: int
    """Batches of the epoch that are done with this one."""
    completes_step: bool


class Run:
    """One worker's side of a training run."""

    def __init__(self, config: Mapping[str, Any], journey: Journey) -> None:
        self.config = config
        """`spec.trainer.config` of the manifest, as it is."""
        self.max_epochs = journey.max_epochs
        self.rank = journey.place.rank
        self.world_size = journey.place.world_size
        self.device = journey.place.device
        self._journey = journey
        self._in_epoch = False
        self._stepping = False
        self._lent: Lent | None = None

    # --- what a training function prepares ------------------------------------------------------------------------

    def prepare_model(self, model: torch.nn.Module, **ddp: Any) -> torch.nn.Module:
        """The model on this worker's device, in `DistributedDataParallel` when there are several workers.

        A model without parameters to train, such as a frozen teacher, is moved only; all ranks have rank 0's values
        then. So is one that DDP holds already. `torch.compile` may come before or after.

        Args:
            model: weights as constructed; a resumed run loads its own in `track`. Freeze parameters before.
            ddp: further arguments of `DistributedDataParallel`.

        Raises:
            TypeError: it is no module, or has no `forward`, which DDP needs: prepare its parts.
            ValueError: it has no values yet (meta device), or some parts of it are prepared and others not.
        """
        return prepared(model, self.device, self.world_size, **ddp)

    def prepare_loader(
        self,
        data: Dataset[Any],
        *,
        batch_size: int,
        shuffle: bool = False,
        even: bool | None = None,
        drop_last: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataLoader[Any]:
        """A loader over this rank's share of a data set, which a resumed run continues in the middle of an epoch.

        Args:
            data: the whole data set, the same on every rank.
            batch_size: samples a batch on each rank.
            shuffle: a new order for each epoch, from `seed` and the epoch alone.
            even: fill shares up to one length, as training wants it; False shows every sample exactly once, as an
                exact evaluation wants it. Default: what `shuffle` is.
            options: further arguments of `DataLoader`.
        """
        if isinstance(data, IterableDataset):
            return sharded_loader(data, None, {"batch_size": batch_size, "drop_last": drop_last, **options})
        shares = ShardBatches(
            len(data),  # type: ignore[arg-type]
            rank=self.rank,
            world_size=self.world_size,
            batch_size=batch_size,
            shuffle=shuffle,
            even=shuffle if even is None else even,
            drop_last=drop_last,
            seed=seed,
        )
        return sharded_loader(data, shares, options)

    def prepare_scaler(self, **options: Any) -> torch.amp.GradScaler:
        """A gradient scaler for float16, tracked as `scaler`; on a CPU it lets everything pass unscaled."""
        scaler = torch.amp.GradScaler(self.device.type, enabled=self.device.type == "cuda", **options)
        self.track(scaler=scaler)
        return scaler

    def autocast(self, dtype: torch.dtype = torch.bfloat16) -> AbstractContextManager[Any]:
        """Mixed precision on this worker's device."""
        return torch.autocast(self.device.type, dtype=dtype)

    def track(self, **objects: object) -> None:
        """Put objects into every checkpoint under these names; a resumed run loads them here, at once.

        Anything with `state_dict` and `load_state_dict` will do: model, optimizer, scheduler, scaler, counters.
        """
        self._journey.tracked.add(objects)

    # --- the loops ------------------------------------------------------------------------------------------------

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs to train, from 1; a resumed run goes on where its checkpoint was taken."""
        journey = self._journey
        journey.begin()
        while not journey.is_over():
            journey.enter_epoch()
            self._in_epoch, self._stepping, journey.batches = True, False, None
            reports = len(journey.coordinator.history)
            yield journey.position.epoch
            self._in_epoch = False
            if not journey.rested and len(journey.coordinator.history) == reports:
                journey.keeper.warn(f"epoch {self.epoch} ended without run.report(); nothing was judged")
            journey.end_epoch()
        journey.finish()

    def steps(self, loader: Iterable[Any], *, accumulate: int = 1) -> Iterator[Any]:
        """The training batches of this epoch on this worker's device; each batch's work is one step.

        Ranks with different numbers of batches all do the smallest number.

        Args:
            loader: of `prepare_loader`, or any iterable; one without a length costs an agreement at every step.
            accumulate: batches that make one step; `last_of_step` says when to step the optimizer, and
                `gradient_sync` saves the communication of the others. A run halts only between steps.
        """
        if not self._in_epoch or self._stepping:
            raise RuntimeError(
                "run.steps() belongs inside `for epoch in run.epochs()`, once for each epoch; zip several loaders"
            )
        self._stepping = True
        self._journey.begin_steps()
        for lent in self._training_batches(loader, accumulate):
            self._lent = lent
            yield to_device(lent.batch, self.device)
            self._take_back()
            if lent.completes_step and self._journey.coordinator.poll():
                self._journey.halt()
                return
        if not self._journey.rested:
            self._journey.settle()

    def batches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Batches for evaluation on this worker's device; they count as no steps, and a stop ends them too."""
        if self._in_epoch and self._journey.rested:
            return
        for batch in batches_from(loader, self.epoch, 0, self.rank):
            yield to_device(batch, self.device)
            if self._in_epoch and self._journey.coordinator.poll():
                self._journey.halt()
                return

    @property
    def last_of_step(self) -> bool:
        """Whether this batch completes a step, which is when the optimizer steps (see `steps(accumulate=)`)."""
        return self._lent is None or self._lent.completes_step

    def gradient_sync(self, model: torch.nn.Module) -> AbstractContextManager[Any]:
        """Around forward and backward while accumulating: ranks exchange gradients only at the last batch of a step."""
        return nullcontext() if self.last_of_step else without_sync(model)

    # --- what a training function tells ---------------------------------------------------------------------------

    def log(self, **metrics: object) -> None:
        """Add to this epoch's metrics without waiting for the device; the next `report` reduces them.

        Args:
            metrics: (sum, weight) pairs such as `train_loss=(loss.detach() * len(x), len(x))`, or plain numbers,
                which weigh 1.
        """
        for name, value in metrics.items():
            self._journey.meters.add(name, value)

    def report(self, **metrics: object) -> Decision | None:
        """Reduce metrics over all ranks and judge them by the criteria. All ranks report together.

        What `log` collected is reported with it. After the loop over `epochs` the metrics are the run's final ones,
        such as a test accuracy: they are kept in the result and judged by nothing.

        Args:
            metrics: (sum, weight) pairs, which are reduced exactly over ranks, or numbers, which are averaged.

        Returns:
            The decision if the run is to stop, else None.

        Raises:
            MetricMismatch: some ranks report a metric that others do not.
            MissingMetric: a criterion watches a metric that is not reported.
        """
        self.log(**metrics)
        if self._in_epoch:
            in_the_middle = self._lent is not None
            self._take_back()
            self._journey.judge()
            if in_the_middle and not self._journey.rested and self._journey.keeper.improved:
                self._journey.checkpoint()
        elif self._journey.finished:
            self._journey.final()
        else:
            raise RuntimeError("run.report() belongs inside `for epoch in run.epochs()`, or after that loop")
        return self._journey.decision

    @property
    def epoch(self) -> int:
        """The epoch being trained, from 1."""
        return self._journey.position.epoch

    @property
    def step(self) -> int:
        """Steps finished since the run began."""
        return self._journey.position.step

    # --- how it goes on -------------------------------------------------------------------------------------------

    def _take_back(self) -> None:
        """The batch lent to the training function is done."""
        if self._lent is not None:
            self._journey.advance(self._lent.done, completes_step=self._lent.completes_step)
            self._lent = None

    def _training_batches(self, loader: Iterable[Any], accumulate: int) -> Iterator[Lent]:
        """As many batches on each rank as every rank has."""
        coordinator, skip = self._journey.coordinator, self._journey.position.batch
        with self._journey.as_at_the_start_of_the_epoch():
            batches = batches_from(loader, self.epoch, skip, self.rank)
        length = batch_count(loader)
        if length is None:
            yield from self._step_by_step(batches, skip, accumulate)
        else:
            total = self._journey.batches = coordinator.align(length)
            if not coordinator.halted:
                for done, batch in zip(range(skip + 1, total + 1), batches, strict=False):
                    yield Lent(batch, done, completes_step=done % accumulate == 0 or done == total)
        if coordinator.halted and not self._journey.rested:
            self._journey.halt()

    def _step_by_step(self, batches: Iterator[Any], skip: int, accumulate: int) -> Iterator[Lent]:
        """From a loader that shows its end only at its end: before each step, ranks agree on its batches."""
        done = skip
        while True:
            window = list(islice(batches, accumulate))
            size = self._journey.coordinator.align(len(window))
            if size == 0:
                return
            for position, batch in enumerate(window[:size], start=1):
                yield Lent(batch, done + position, completes_step=position == size)
            done += size
