"""What `run` and `explain` look like in a real terminal, narrow and wide: the same, and nothing is broken in two."""

import re
import sys
from pathlib import Path

import pytest
from tmux import TMUX, Screen

SUPPORT = Path(__file__).parent.parent / "support"
COLUMNS = (80, 200)
TRAIN = """
from pathlib import Path

from processes import until

LOSSES = [0.9123456, 0.5123456, 0.6123456, 0.7123456, 0.6823456]


def train(run):
    for epoch in run.epochs():
        for _ in run.steps(range(5)):
            pass
        if epoch == 4:
            until(Path("go").exists)
        loss = LOSSES[epoch - 1]
        run.report(val_loss=loss, val_accuracy=1 - loss / 2, train_loss=loss / 3)
"""
MANIFEST = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: a-name-that-is-rather-long-for-a-run}
spec:
  trainer: {entrypoint: train:train, maxEpochs: 40}
  stopping:
    monitor: val_loss
    criteria:
      - plateau: {patience: 3, minDelta: 0.001}
      - overfitting: {gap: 0.2, patience: 3}
        shadow: true
      - all: [{threshold: {value: 0.01}}, {divergence: {value: 100}}]
"""
LIVE = "(epoch 2) by more than 0.001 for 1"
"""What the live display says while the run waits for its fourth epoch."""
REASON = "val_loss 0.682346 has not improved on 0.512346 (epoch 2) by more than 0.001 for 3 reports"
WOULD = (
    "shadow, would stop: val_loss 0.612346 is worse than train_loss 0.204115 by more than 0.2 for 3 reports"
)

pytestmark = pytest.mark.skipif(TMUX is None, reason="no tmux here")


@pytest.fixture(params=COLUMNS)
def screen(request, tmp_path):
    """A function that starts a command in a terminal of so many columns."""

    def shown(*arguments):
        return Screen(
            tmp_path,
            request.param,
            [sys.executable, SUPPORT / "localcli.py", *arguments],
            tmp_path,
            {"PYTHONPATH": SUPPORT},
        )

    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "job.yaml").write_text(MANIFEST)
    return shown


def words(text):
    return " ".join(text.split())


def sentences(text):
    """What the tables say, however wide their last column is."""
    return words(re.sub(r"[━╺╸╌]+", "", text))


def test_a_run_in_a_narrow_and_in_a_wide_terminal(screen, tmp_path):
    with screen("run", "job.yaml") as terminal:
        terminal.await_text(LIVE if terminal.columns > 80 else LIVE.removeprefix("(epoch 2) "))
        live, whole = terminal.text(), terminal.text(joined=True)
        assert live == whole  # no line is longer than the terminal
        assert WOULD in words(live)
        assert re.search(r"val_loss +0\.612346 +█▁▃ +best 0\.512346 in epoch 2", live)
        assert "0 of 2 say stop, 2 needed: val_loss 0.612346 has not reached 0.01;" in words(live)
        (tmp_path / "go").touch()
        assert terminal.exit_code() == 0
        text, whole = terminal.text(), terminal.text(joined=True)
    assert f"Stopped early by plateau after epoch 5 of 40, at step 25 {REASON}" in words(text)
    report, _, following = whole.partition("\nNext")
    assert text.startswith(report)
    assert "explain runs/a-name-that-is-rather-long-for-a-run\n" in following  # to be copied in one piece
    with screen("explain", "runs/a-name-that-is-rather-long-for-a-run") as terminal:
        assert terminal.exit_code() == 0
        explained = terminal.text(joined=True)
    assert sentences(explained.partition("\nNext")[0]) in sentences(report)
