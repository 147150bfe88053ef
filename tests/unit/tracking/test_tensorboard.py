"""What TensorBoard itself reads of a run: its own reader, and its HPARAMS tab's."""

from dataclasses import replace
from pathlib import Path

import pytest
from recording import STEPS_PER_EPOCH, VAL_LOSS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata as hparams

from trainjobs.api.reasons import RunOutcome
from trainjobs.cli.curves.event_files import read_events
from trainjobs.tracking.tensorboard import FOLDER, TensorBoard
from trainjobs.tracking.tracker import TrackedRun, scalars


def read(run):
    reader = EventAccumulator(str(run.folder / FOLDER), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    return reader


def curve(reader, tag):
    return [(each.step, pytest.approx(each.value)) for each in reader.Scalars(tag)]


@pytest.fixture
def told(tell):
    return lambda run, *events: tell(TensorBoard(run), *events)


def test_every_metric_is_a_scalar_over_the_steps(run, reports, told, started, stopped):
    told(run, started, *reports, stopped)
    reader = read(run)
    assert curve(reader, "val_loss") == [
        (epoch * STEPS_PER_EPOCH, value) for epoch, value in enumerate(VAL_LOSS, start=1)
    ]
    assert {"train_loss", "val_accuracy", "epoch", "final/accuracy"} <= set(reader.Tags()["scalars"])


def test_a_report_is_there_before_the_run_has_ended(run, reports, told, started):
    told(run, started, *reports[:2])
    assert len(read(run).Scalars("val_loss")) == 2


def test_best_and_stop_are_marked_beside_the_curve_and_told_in_a_sentence(
    run, reports, told, started, stopped
):
    told(run, started, *reports, stopped)
    reader = read(run)
    assert curve(reader, "best/val_loss")[-4:] == [(700, 0.398), (770, 0.3975), (840, 0.3975), (910, 0.3975)]
    assert curve(reader, "stop/val_loss") == [(910, 0.412)]
    (sentence,) = reader.Tensors("decision")
    assert sentence.tensor_proto.string_val[0].decode() == (
        "EarlyStopped at step 910: flat for 5 reports; best val_loss 0.3975 at step 770 (epoch 11)"
    )
    layout = layout_pb2.Layout.FromString(
        reader.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    )
    (chart,) = layout.category[0].chart
    assert list(chart.multiline.tag) == ["^val_loss$", "^best/val_loss$", "^stop/val_loss$"]


def test_what_is_trained_again_after_a_resume_replaces_what_was(run, reports, told, started, stopped):
    halted = replace(stopped, outcome=RunOutcome.INTERRUPTED, step=353)
    told(run, started, *reports[:5], halted)
    history = tuple(report.observation for report in reports[:3])
    again = replace(started, attempt=2, resumed_from_step=history[-1].step, history=history)
    told(run, again, *reports[3:], stopped)
    reader = read(run)
    assert [step for step, _ in curve(reader, "val_loss")] == [
        epoch * STEPS_PER_EPOCH for epoch in range(1, len(VAL_LOSS) + 1)
    ]
    assert curve(reader, "stop/val_loss") == [(910, 0.412)]
    assert len(list((run.folder / FOLDER).iterdir())) == 2


def test_an_attempt_without_a_checkpoint_begins_the_curves_anew(run, reports, told, started):
    told(run, started, *reports[:5], replace(started, attempt=2), *reports[:2])
    assert len(read(run).Scalars("val_loss")) == 2


def test_a_run_that_was_begun_without_a_log_has_its_whole_history_in_it(run, reports, told, started):
    history = tuple(report.observation for report in reports[:3])
    told(run, replace(started, history=history), *reports[3:])
    times = [each.wall_time for each in read(run).Scalars("val_loss")]
    assert len(times) == len(VAL_LOSS)
    assert times[1] - times[0] == pytest.approx(4.5, abs=0.01)


def test_runs_are_compared_by_their_settings(run, reports, told, started, stopped):
    told(run, started, *reports, stopped)
    content = read(run).SummaryMetadata(hparams.SESSION_START_INFO_TAG).plugin_data.content
    start = hparams.parse_session_start_info_plugin_data(content)
    kept = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.hparams.items()}
    assert (start.group_name, kept) == ("mnist", dict(run.settings))
    content = read(run).SummaryMetadata(hparams.SESSION_END_INFO_TAG).plugin_data.content
    assert hparams.parse_session_end_info_plugin_data(content).status == 1  # SUCCESS


def test_replay_reads_the_reports_back(run, reports, told, started):
    told(run, started, *reports)
    rows = list(read_events({"": run.folder / FOLDER}))
    assert [row.metrics["val_loss"] for row in rows] == [pytest.approx(value) for value in VAL_LOSS]
    assert [row.finished for row in rows] == list(range(1, len(VAL_LOSS) + 1))


def test_a_metric_of_the_user_s_own_is_never_replaced(reports):
    seen = reports[0].observation
    mine = replace(reports[0], observation=replace(seen, metrics={**seen.metrics, "epoch": 0.25}))
    assert scalars(mine)["epoch"] == 0.25


def test_settings_are_flat_and_plain(recording):
    trainer = recording.job.spec.trainer.model_copy(
        update={"config": {"model": {"depth": 2, "sizes": [4, 8]}, "warmup": None}}
    )
    job = recording.job.model_copy(
        update={"spec": recording.job.spec.model_copy(update={"trainer": trainer})}
    )
    assert TrackedRun.of(job, Path("run"), "", None).settings == {
        "model.depth": 2,
        "model.sizes": "[4, 8]",
        "warmup": "null",
    }
    assert TrackedRun.of(job, Path("run"), "", {"lr": 0.1}).settings == {"lr": 0.1}
