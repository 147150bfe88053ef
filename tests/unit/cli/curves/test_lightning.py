"""What Lightning's own loggers write."""

import importlib.util

import pytest

from trainjobs.cli.curves.found import curves
from trainjobs.exits import UsageError


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Where a Trainer has logged 3 epochs of 10 steps, validated in the middle and at the end of each."""
    lightning = pytest.importorskip("lightning.pytorch")
    import torch

    class Fit(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def training_step(self, batch, _):
            loss = self.layer(batch).square().mean()
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            return loss

        def validation_step(self, batch, _):
            self.log("val_loss", self.layer(batch).square().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.05)

    place = tmp_path_factory.mktemp("lightning")
    loggers = [
        lightning.loggers.CSVLogger(place / "csv"),
        lightning.loggers.TensorBoardLogger(place / "events"),
    ]
    loader = torch.utils.data.DataLoader(torch.randn(80, 4), batch_size=8)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = lightning.Trainer(
        max_epochs=3, logger=loggers, log_every_n_steps=4, val_check_interval=0.5, accelerator="cpu", **quiet
    )
    trainer.fit(Fit(), loader, loader)
    return place


pytestmark = pytest.mark.filterwarnings("ignore")


def told(place):
    (curve,) = curves(place)
    return [
        (seen.epoch, seen.step, seen.whole, dict(seen.metrics)) for seen in curve.read("val_loss").history
    ]


def test_validations_are_reports_and_the_last_one_ends_the_epoch(logged):
    seen = told(logged / "csv")
    assert [each[:3] for each in seen] == [
        *((1, 4, False), (1, 9, True), (2, 14, False)),
        *((2, 19, True), (3, 24, False), (3, 29, True)),
    ]
    assert all({"train_loss_step", "val_loss"} <= each[3].keys() for each in seen)
    assert all(("train_loss_epoch" in each[3]) == each[2] for each in seen)


def test_event_files_tell_the_same(logged):
    if importlib.util.find_spec("tensorboard") is None:
        with pytest.raises(UsageError) as caught:
            told(logged / "events")
        assert "pip install tensorboard" in str(caught.value)
        return
    ours, theirs = told(logged / "csv"), told(logged / "events")
    for one, other in zip(ours, theirs, strict=True):
        assert one[:3] == other[:3]
        assert other[3] == pytest.approx({name: one[3][name] for name in other[3]})
