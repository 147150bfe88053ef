from rich.console import Console
from sweep_manifests import sweep_manifest

from manifests import manifest
from trainjobs.cli.cluster import views
from trainjobs.cluster import ClusterTrainJob, ClusterTrainSweep

METADATA = {"namespace": "team", "uid": "1", "creationTimestamp": "2026-11-21T10:00:00Z"}
TIME = "2026-11-21T10:00:00Z"
STOPPED = {
    "conditions": [
        {
            "type": "Complete",
            "status": "True",
            "reason": "EarlyStopped",
            "message": "val_loss 0.0721 has not improved on 0.0712 for 5 reports",
            "lastTransitionTime": TIME,
        }
    ],
    "training": {
        "epoch": 12,
        "step": 660,
        "metrics": [{"name": "val_loss", "value": "0.0721234567"}, {"name": "val_f1", "value": "nan"}],
        "best": {"metric": "val_loss", "value": "0.0712", "epoch": 7},
    },
    "stopping": {
        "criterion": "plateau",
        "reason": "val_loss 0.0721 has not improved on 0.0712 for 5 reports",
        "haltedAtStep": 660,
        "ranksHalted": 2,
        "ranksTotal": 2,
        "shadow": [{"criterion": "trend", "reason": "it rises", "epoch": 9, "step": 495}],
    },
    "checkpoint": {"uri": "/ckpt/mnist", "epoch": 12, "step": 660, "time": TIME},
    "accounting": {
        "epochsSaved": 28,
        "stepsSaved": 1540,
        "secondsSaved": 90,
        "gpuHoursSaved": 0.05,
        "baseline": "MaxEpochs",
    },
    "restarts": 2,
    "failedAttempts": 1,
}


def seen(status):
    return ClusterTrainJob.of({**manifest(metadata=METADATA), "status": status})


def text(parts):
    console = Console(width=120)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    return [line.strip() for line in captured.get().splitlines()]


def test_an_early_stop_is_told_whole():
    assert text(views.explained(seen(STOPPED))) == [
        "TrainJob mnist in namespace team: EarlyStopped",
        "val_loss 0.0721 has not improved on 0.0712 for 5 reports",
        "",
        "last        val_loss 0.0721235 · val_f1 nan",
        "best        val_loss 0.0712, epoch 7",
        "trained     epoch 12, step 660 of 100 epochs",
        "decided     plateau: val_loss 0.0721 has not improved on 0.0712 for 5 reports",
        "halted      step 660 on 2 of 2 ranks",
        "shadow      trend would have stopped it in epoch 9: it rises",
        "saved       28 epochs, 1540 steps, about 1 min 30 s, 0.05 GPU hours (an estimate against your own maxEpochs)",
        "checkpoint  /ckpt/mnist (step 660)",
        "restarts    2, of which 1 failure",
    ]


def test_what_a_pod_wrote_moves_no_cursor():
    status = {
        **STOPPED,
        "conditions": [{**STOPPED["conditions"][0], "message": "\x1b[2Jgone"}],
        "stopping": {"criterion": "\x1b]0;x\x07", "reason": "\x1b[1A"},
    }
    said = "\n".join(text(views.explained(seen(status))))
    assert "\x1b" not in said
    assert r"\x1b[2Jgone" in said
    table = "\n".join(text([views.table([views.row(seen(status))])]))
    assert "\x1b" not in table


def test_what_a_pod_wrote_begins_no_row_of_its_own():
    training = {
        **STOPPED["training"],
        "best": {**STOPPED["training"]["best"], "metric": "loss\nteam/forged  Complete"},
    }
    found = seen(
        {**STOPPED, "training": training, "conditions": [{**STOPPED["conditions"][0], "message": "a\nb"}]}
    )
    assert len(str(views.table([views.row(found)])).splitlines()) == 2
    assert len(views.line(found).splitlines()) == 1


def test_before_the_first_report_a_line_says_what_it_waits_for():
    waits = {"type": "Running", "status": "False", "reason": "Unschedulable", "lastTransitionTime": TIME}
    assert views.line(seen({"conditions": [{**waits, "message": "0/3 nodes"}]})) == "Unschedulable  0/3 nodes"
    assert views.line(seen({})) == "New"


SWEPT = {
    "conditions": [
        {
            "type": "Complete",
            "status": "True",
            "reason": "Finished",
            "message": "all 6 trials have ended",
            "lastTransitionTime": TIME,
        }
    ],
    "trials": {"total": 6, "ended": 6, "succeeded": 2, "pruned": 3, "failed": 1},
    "best": {
        "trial": "0003",
        "metric": "val_loss",
        "objective": "0.0712345678",
        "parameters": [{"name": "lr", "value": "0.1"}],
    },
    "latest": [
        {"trial": "0006", "state": "Pruned", "epoch": 2, "objective": "0.9", "reason": "worse than 0.5"}
    ],
    "accounting": {"epochsSaved": 12, "secondsSaved": 90, "gpuHoursSaved": 0.05},
}


def swept(status):
    return ClusterTrainSweep.of(
        {**sweep_manifest(), "metadata": {"name": "tuned", **METADATA}, "status": status}
    )


def test_a_sweep_is_told_whole():
    assert text(views.explained(swept(SWEPT))) == [
        "TrainSweep tuned in namespace team: Finished",
        "all 6 trials have ended",
        "",
        "trials      6 of 6 ended: 2 succeeded, 3 pruned, 1 failed",
        "best        trial 0003, val_loss 0.0712346  lr=0.1",
        "trial 0006  Pruned, epoch 2, objective 0.9: worse than 0.5",
        "saved       12 epochs, about 1 min 30 s (an estimate)",
    ]
    assert views.row(swept(SWEPT))[:6] == (
        "team/trainsweep/tuned",
        "Finished",
        "",
        "val_loss 0.0712346",
        "",
        "0.05",
    )


def test_the_line_of_a_sweep_says_how_far_it_is():
    running = {**SWEPT, "conditions": [{**SWEPT["conditions"][0], "type": "Running", "reason": "Running"}]}
    running["trials"] = {"total": 6, "ended": 1, "running": 2}
    assert views.line(swept(running)) == (
        "Running  1 of 6 trials ended  2 running  best val_loss 0.0712346 (trial 0003)"
    )
    assert views.line(swept({})) == "New"


def test_who_follows_a_sweep_reads_once_of_each_trial_that_has_ended():
    first = {**SWEPT, "conditions": [{**SWEPT["conditions"][0], "type": "Running", "reason": "Running"}]}
    trains = {"trial": "0007", "state": "Running", "epoch": 1}
    ended = {"trial": "0007", "state": "Failed", "epoch": 1, "reason": "a bug\nof the trial"}
    changes = views.Changes()
    seen = [
        {**first, "latest": [trains, *SWEPT["latest"]]},
        {**first, "latest": [ended, *SWEPT["latest"]]},
        {**SWEPT, "latest": [ended, *SWEPT["latest"]]},
    ]
    assert [list(changes.since(swept(status))) for status in seen] == [
        [
            "trial 0006  Pruned at epoch 2, objective 0.9: worse than 0.5",
            "Running  6 of 6 trials ended  best val_loss 0.0712346 (trial 0003)",
        ],
        ["trial 0007  Failed at epoch 1: a bug of the trial"],
        ["Finished  6 of 6 trials ended  best val_loss 0.0712346 (trial 0003)"],
    ]
