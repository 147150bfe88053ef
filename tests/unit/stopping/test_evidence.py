import pytest

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "patience", "stop"),
    [
        ([-9.0, -2.0, -0.1, 0.01], 1, 4),
        ([-9.0, 0.1, -0.1, 0.2, 0.3], 2, 5),
        ([0.0, 0.0], 1, None),
        ([-1.0, NAN, 0.1], 2, 3),
        ([0.2], 1, 1),
    ],
)
def test_it_stops_after_so_many_successive_reports_above_0(first_stop, values, patience, stop):
    criterion = {"evidence": {"patience": patience, "monitor": "m", "nonFinite": "Count"}}
    assert first_stop(criterion, values) == stop


def test_the_sentence_has_the_number(verdict):
    said = verdict({"evidence": {"monitor": "m"}}, [-2.0, 0.25])
    assert said.reason == "m 0.25 is above 0, no more than noise, for 1 report"
    assert verdict({"evidence": {"monitor": "m"}}, [-2.0]).reason == "m -2 is not above 0"
