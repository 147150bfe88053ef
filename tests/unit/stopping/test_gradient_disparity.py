import pytest

from trainjobs.api.stopping import Mode, Stopping


@pytest.mark.parametrize(
    ("values", "stop"),
    [
        ([1.0, 0.5, 0.4, 0.41, 0.42], 5),
        ([1.0, 0.5, 0.6, 0.4, 0.5, 0.39], None),
    ],
)
def test_it_stops_when_the_disparity_has_no_new_low_for_so_many_reports(first_stop, values, stop):
    assert first_stop({"gradientDisparity": {"patience": 2, "monitor": "m"}}, values) == stop


def test_it_reads_a_metric_of_its_own_that_is_better_when_low_whatever_the_run_monitors():
    document = {
        "monitor": "accuracy",
        "mode": "max",
        "criteria": [{"gradientDisparity": {}}, {"evidence": {}}],
    }
    stopping = Stopping.model_validate(document)
    assert stopping.metrics == {"accuracy", "gradient_disparity", "gradient_evidence"}
    assert stopping.criteria[0].gradient_disparity.mode is Mode.MIN
    Stopping.model_validate({"criteria": [{"gradientDisparity": {}}, {"evidence": {}}]})
