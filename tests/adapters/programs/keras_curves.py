"""Curves under our EarlyStopping, with Keras' own beside it. The model is torch's DDP in a layer of Keras."""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import torch
import torch.distributed as dist
from adapted import tell
from torch.nn.parallel import DistributedDataParallel

from trainjobs.adapters.keras import EarlyStopping


class Curve(keras.callbacks.Callback):
    """Says of the validation what a curve says."""

    def __init__(self, curve):
        super().__init__()
        self.curve = curve

    def on_epoch_end(self, epoch, logs):
        logs["val_loss"] = self.curve[epoch]


class Beside(keras.callbacks.EarlyStopping):
    """Keras' own, which says where it would stop and lets ours do it."""

    stopped_at = None

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if self.model.stop_training and self.stopped_at is None:
            self.stopped_at = epoch + 1
        self.model.stop_training = False


def run(name, curve, arguments):
    model = keras.Sequential(
        [keras.layers.TorchModuleWrapper(DistributedDataParallel(torch.nn.Linear(2, 1)))]
    )
    model.compile(optimizer="sgd", loss="mse")
    theirs = Beside("val_loss", **arguments)
    epochs = []
    counted = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append(epoch + 1))
    model.fit(
        np.ones((4, 2), "float32"),
        np.ones((4, 1), "float32"),
        batch_size=4,
        epochs=len(curve),
        verbose=0,
        callbacks=[
            Curve(curve),
            theirs,
            EarlyStopping("val_loss", **arguments, run_dir=f"runs/{name}"),
            counted,
        ],
    )
    return {"theirs": theirs.stopped_at or len(curve), "ours": epochs[-1]}


def main():
    dist.init_process_group("gloo")
    cases = json.loads(Path(sys.argv[1]).read_text()).items()
    tell(dist.get_rank(), {name: run(name, *case) for name, case in cases})


main()
