"""What a report gives back is used as the mapping it looks like."""

import math

from trainjobs.coordination import Decision, Outcome
from trainjobs.runtime.loop.position import Report


def test_a_report_is_a_mapping_of_its_metrics_and_true_where_the_loop_ends():
    report = Report({"val_loss": 0.5}, None)
    assert ("val_loss" in report, "val_acc" in report, report.get("val_acc")) == (True, False, None)
    assert dict(report) == {"val_loss": 0.5}
    assert (bool(report), bool(Report({}, None, leave=True))) == (False, True)


def test_after_a_halt_every_metric_is_nan():
    decision = Decision(Outcome.STOP_REQUESTED, None, "test", None, None, None, None, 5, 5, 1.0)
    report = Report({}, decision, leave=True)
    assert math.isnan(report["val_loss"])
    assert math.isnan(report.get("val_loss"))
    assert dict(report) == {}
