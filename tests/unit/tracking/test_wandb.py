"""What Weights & Biases keeps of a run, offline: read back from the file that `wandb sync` would send."""

import json
import struct
from dataclasses import replace

import pytest
import wandb
from recording import STEPS_PER_EPOCH, VAL_LOSS
from wandb.proto.wandb_internal_pb2 import Record

from trainjobs.api.reasons import RunOutcome
from trainjobs.exits import ConfigError
from trainjobs.tracking.wandb import WandB

HEADER, BLOCK, HEAD = 7, 2**15, 7
"""Bytes: of a file's header, of a block of LevelDB's log format, of what precedes each part of a record there."""


@pytest.fixture(scope="module", autouse=True)
def service():
    yield
    wandb.teardown()


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()  # reads the variables once


def records(path):
    data, at, found = path.read_bytes(), HEADER, b""
    while at + HEAD <= len(data):
        if BLOCK - at % BLOCK < HEAD:
            at += BLOCK - at % BLOCK
        _, length, kind = struct.unpack_from("<IHB", data, at)
        found += data[at + HEAD : at + HEAD + length]
        at += HEAD + length
        if kind in (1, 4):  # whole, or its last part
            yield Record.FromString(found)
            found = b""


def read(run):
    """The ids, the rows, the settings and the summary of all that was written for a run, the oldest first."""
    wandb.teardown()  # as at the end of a process
    ids, rows, config, summary = [], [], {}, {}
    for path in sorted(
        run.folder.glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime_ns
    ):
        for record in records(path):
            if record.WhichOneof("record_type") == "run":
                ids.append(record.run.run_id)
                config |= {each.key: json.loads(each.value_json) for each in record.run.config.update}
            for each in record.history.item:
                rows.append((each.key or each.nested_key[0], json.loads(each.value_json)))
            for each in record.summary.update:
                summary[each.key or each.nested_key[0]] = json.loads(each.value_json)
    return ids, rows, config, summary


def column(rows, name):
    return [value for key, value in rows if key == name]


def test_a_run_has_its_curves_its_settings_and_its_decision(run, reports, started, stopped, tell):
    tell(WandB(run), started, *reports, stopped)
    ids, rows, config, summary = read(run)
    assert set(ids) == {(run.folder / "wandb-run-id").read_text().strip()}
    assert column(rows, "val_loss") == list(VAL_LOSS)
    assert column(rows, "global_step") == [
        *(epoch * STEPS_PER_EPOCH for epoch in range(1, len(VAL_LOSS) + 1)),
        910,
    ]
    assert column(rows, "stop/val_loss") == [0.412]
    assert {name: config[name] for name in run.settings} == run.settings
    assert summary["outcome"] == "EarlyStopped"
    assert summary["decision"].startswith("EarlyStopped at step 910: flat for 5 reports; best val_loss")
    assert (summary["best/step"], summary["best/epoch"]) == (770, 11)


def test_a_resume_goes_on_with_the_same_run(run, reports, started, stopped, tell):
    tell(WandB(run), started, *reports[:3], replace(stopped, outcome=RunOutcome.INTERRUPTED))
    tell(WandB(run), replace(started, attempt=2), *reports[3:], stopped)
    ids, rows, _, _ = read(run)
    assert len(set(ids)) == 1
    assert sorted(column(rows, "val_loss")) == sorted(VAL_LOSS)


def test_without_a_key_nobody_is_asked_for_one(run, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(run.folder))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(run.folder))
    wandb.teardown()
    with pytest.raises(ConfigError, match="no API key; run `wandb login`"):
        WandB(run)
