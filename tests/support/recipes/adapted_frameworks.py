"""Training functions that a framework drives, in a run that `trainjobs run` has started; their arguments never stop."""

import torch
from torch.nn.parallel import DistributedDataParallel

from trainjobs.runtime import Run

NEVER = 99
CURVE = [1.0, 0.8, 0.7, 0.75, 0.72, 0.71, 0.9, 0.6]


def lightning(run: Run) -> None:
    from lightning.pytorch import LightningModule, Trainer
    from torch.utils.data import DataLoader

    from trainjobs.adapters.lightning import EarlyStopping

    class Scripted(LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def training_step(self, batch, batch_idx):
            return self.layer(batch).square().mean()

        def validation_step(self, batch, batch_idx):
            self.log("value", torch.tensor(CURVE[self.current_epoch]))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

    trainer = Trainer(
        accelerator="cpu",
        devices=run.world_size,
        strategy="ddp",
        max_epochs=len(CURVE),
        callbacks=[EarlyStopping("value", patience=NEVER)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Scripted(), *(DataLoader(torch.randn(8, 2), batch_size=2) for _ in range(2)))


def ignite(run: Run) -> None:
    from ignite.engine import Engine, Events

    from trainjobs.adapters.ignite import EarlyStopping

    model = DistributedDataParallel(torch.nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    values = iter(CURVE)

    def update(engine, batch):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()

    def evaluate(engine, batch):
        engine.state.metrics["value"] = next(values)

    trainer, evaluator = Engine(update), Engine(evaluate)
    EarlyStopping(NEVER, lambda engine: -engine.state.metrics["value"], trainer).attach(evaluator)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0]))
    trainer.run([torch.randn(4, 2)] * 2, max_epochs=len(CURVE))


def keras(run: Run) -> None:
    import keras
    import numpy as np

    from trainjobs.adapters.keras import EarlyStopping

    class Curve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs):
            logs["value"] = CURVE[epoch]

    replica = DistributedDataParallel(torch.nn.Linear(2, 1))
    model = keras.Sequential([keras.layers.TorchModuleWrapper(replica)])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(
        *(np.ones((8, 2), "float32"), np.ones((8, 1), "float32")),
        batch_size=4,
        epochs=len(CURVE),
        verbose=0,
        callbacks=[Curve(), EarlyStopping("value", patience=NEVER, mode="min")],
    )


def accelerate(run: Run) -> None:
    from accelerate import Accelerator

    from trainjobs.adapters.accelerate import EarlyStopping

    accelerator = Accelerator(cpu=True)
    model = accelerator.prepare(torch.nn.Linear(2, 1))
    optimizer = accelerator.prepare(torch.optim.SGD(model.parameters(), lr=0.01))
    with EarlyStopping(accelerator, "value", patience=NEVER, max_epochs=len(CURVE)) as stopping:
        for value in CURVE:
            for _ in range(2):
                optimizer.zero_grad()
                accelerator.backward(model(torch.randn(4, 2)).square().mean())
                optimizer.step()
                if stopping.step():
                    return
            if stopping.report(value=value):
                return
