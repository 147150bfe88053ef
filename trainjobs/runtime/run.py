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

The loops are where a run halts: `epochs`, `steps` and `batches` end on a stop, on every rank at the same place. It is
no matter how a loop is left (`break`, `islice`, an exception that is caught): what it leaves unfinished is over, once
no name refers to its iterator any more.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, IterableDataset

from trainjobs.runtime.data.loaders import ShardBatches, batches_from, sharded_loader, to_device, zipped
from trainjobs.runtime.data.lockstep import keep_shared, share_buffers
from trainjobs.runtime.loop.position import LoopPhase, Report
from trainjobs.runtime.loop.training_loop import TrainingLoop
from trainjobs.runtime.models.parallel import prepared, without_sync


class Run:
    """One worker's side of a training run."""

    def __init__(self, config: Mapping[str, Any], loop: TrainingLoop) -> None:
        self.config = config
        """`spec.trainer.config` of the manifest, as it is."""
        self.max_epochs = loop.length.named(loop.length.amount, None)
        """Epochs to train; None if the manifest says `maxSteps`."""
        self.max_steps = loop.length.named(None, loop.length.amount)
        """Steps to train; None if the manifest says `maxEpochs`."""
        self.rank = loop.context.rank
        self.world_size = loop.context.world_size
        self.device = loop.context.device
        self._loop = loop

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
        gradients = self._loop.gradients
        model = prepared(model, self.device, self.world_size, settled=gradients.wanted, **ddp)
        replicas = [part for part in model.modules() if isinstance(part, DistributedDataParallel)]
        for replica in replicas:
            share_buffers(replica)
            keep_shared(replica)
            gradients.watch(replica)
        self._loop.steps.replicas += replicas
        self._loop.state.tracked.expect(model)
        return model

    def prepare_loader(
        self,
        data: Dataset[Any],
        *,
        batch_size: int | None,
        shuffle: bool = False,
        even: bool | None = None,
        drop_last: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataLoader[Any]:
        """A loader over this rank's share of a data set, which a resumed run continues in the middle of an epoch.

        Args:
            data: the whole data set, the same on every rank.
            batch_size: samples a batch on each rank, at most; None for an `IterableDataset` that yields whole batches.
            shuffle: a new order for each epoch, from `seed` and the epoch alone.
            even: fill shares up to one length, as training wants it; False shows every sample exactly once, as an
                exact evaluation wants it, and a rank may have a batch less than another, or none. Default: what
                `shuffle` is.
            drop_last: full batches only; what is left of each share is not seen.
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
        self._loop.state.tracked.add(objects)

    # --- the loops ------------------------------------------------------------------------------------------------

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs to train, from 1; a resumed run goes on where its checkpoint was taken."""
        loop = self._loop
        this = loop.begin_epochs()
        while not loop.is_over():
            loop.enter_epoch()
            try:
                yield loop.state.position.epoch
            except GeneratorExit:
                if loop.epoch_loop is this:  # else it was left before, and kept by an error that is kept
                    loop.leave_epochs()
                raise
            if loop.epoch_loop is not this:
                raise RuntimeError("this loop over run.epochs() was left for another one; it cannot go on")
            loop.end_epoch()
        loop.finish()

    def steps(self, *loaders: Iterable[Any], accumulate: int = 1, limit: int | None = None) -> Iterator[Any]:
        """The training batches of this epoch on this worker's device; each batch's work is one step.

        Ranks with different numbers of batches all do the smallest number. A batch that was handed out counts as
        trained, also where the loop is left with it.

        Args:
            loaders: of `prepare_loader`, or any iterable; several are gone through side by side, and each batch is a
                tuple, as of `zip`. A length that is not certain costs an agreement at every step
                (that of an `IterableDataset`, or of a sampler of your own).
            accumulate: batches that make one step; `last_of_step` says when to step the optimizer, and
                `gradient_sync` saves the communication of the others. A run halts only between steps.
            limit: batches of an epoch at most. Unlike the count of `itertools.islice`, it goes on after a resume.
        """
        if self._loop.state.phase is not LoopPhase.BODY:
            raise RuntimeError(
                "run.steps() belongs inside `for epoch in run.epochs()`, once for each epoch; "
                "for several loaders say run.steps(a, b)"
            )
        with closing(self._loop.steps.batches(zipped(loaders), accumulate, limit)) as batches:
            for batch in batches:
                yield to_device(batch, self.device)

    def batches(self, loader: Iterable[Any]) -> Iterator[Any]:
        """Batches for evaluation on this worker's device; they count as no steps.

        A stop ends them too, after the epoch's steps; amid the steps they run to their end, and the run halts then.
        """
        loop = self._loop
        loop.begin_evaluation()
        if loop.state.phase is not LoopPhase.OUTSIDE and loop.checkpoints.halted:
            return
        empty = True
        for batch in batches_from(loader, self.epoch, 0, self.rank):
            empty = False
            yield to_device(batch, self.device)
            if loop.evaluation.poll():
                loop.checkpoints.halt()
                return
        loop.meters.without_data |= empty

    @property
    def last_of_step(self) -> bool:
        """Whether this batch completes a step, which is when the optimizer steps (see `steps(accumulate=)`)."""
        return self._loop.steps.last_of_step

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
            self._loop.meters.add(name, value)

    def report(self, **metrics: object) -> Report:
        """Reduce metrics over all ranks and judge them by the criteria. All ranks report together.

        What `log` collected is reported with it. After the loop over `epochs` the metrics are the run's final ones,
        such as a test accuracy: they are kept in the result and judged by nothing.

        Args:
            metrics: (sum, weight) pairs, which are reduced exactly over ranks, or numbers, which are averaged.

        Returns:
            The reduced metrics, as `ReduceLROnPlateau` wants them, and the decision, both the same on every rank. It is
            true if the run is complete, and false if it goes on, now or later: the loops end by themselves.

        Raises:
            MetricMismatch: some ranks report a metric that others do not.
            MissingMetric: a criterion watches a metric that is not reported.
        """
        loop = self._loop
        self.log(**metrics)
        if loop.state.phase is not LoopPhase.OUTSIDE:
            return loop.evaluation.judge()
        loop.begin_evaluation()
        if not loop.finished:
            raise RuntimeError("run.report() belongs inside `for epoch in run.epochs()`, or after that loop")
        return loop.evaluation.final()

    @property
    def epoch(self) -> int:
        """The epoch being trained, from 1."""
        return self._loop.state.position.epoch

    @property
    def step(self) -> int:
        """Steps finished since the run began."""
        return self._loop.state.position.step
