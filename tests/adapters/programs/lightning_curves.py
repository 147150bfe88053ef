"""Curves under our EarlyStopping, with Lightning's own beside it."""

import json
import logging
import sys
import warnings
from pathlib import Path

import torch
from adapted import tell
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as Lightnings
from torch.utils.data import DataLoader

from trainjobs.adapters.lightning import EarlyStopping

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Scripted(LightningModule):
    """Trains in earnest, and says of its validation what a curve says."""

    def __init__(self, curve):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.curve = curve

    def training_step(self, batch, batch_idx):
        return self.layer(batch).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", torch.tensor(self.curve[self.current_epoch]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Beside(Lightnings):
    """Lightning's own, which says where it would stop and lets ours do it."""

    stopped_at = None

    def _run_early_stopping_check(self, trainer):
        before = trainer.should_stop
        super()._run_early_stopping_check(trainer)
        if trainer.should_stop and self.stopped_at is None:
            self.stopped_at = trainer.global_step
        trainer.should_stop = before


def fit(curve, *callbacks):
    trainer = Trainer(
        accelerator="cpu",
        devices=2,
        strategy="ddp",
        max_epochs=len(curve),
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Scripted(curve), *(DataLoader(torch.randn(8, 2), batch_size=2) for _ in range(2)))
    return trainer


def main():
    answers = {}
    for name, (curve, arguments) in json.loads(Path(sys.argv[1]).read_text()).items():
        theirs = Beside("val_loss", **arguments)
        trainer = fit(curve, theirs, EarlyStopping("val_loss", **arguments, run_dir=f"runs/{name}"))
        answers[name] = {"theirs": theirs.stopped_at or 2 * len(curve), "ours": trainer.global_step}
    tell(trainer.global_rank, answers)


main()
