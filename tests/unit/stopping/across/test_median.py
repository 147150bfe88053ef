import pytest

NAN = float("nan")
MEDIAN = {"median": {}}


@pytest.mark.parametrize(
    ("curves", "prunes"),
    [
        ([[5], [1], [2], [3]], True),
        ([[2], [1], [2], [3]], False),
        ([[2.5], [1], [2], [3], [4]], False),
        ([[2.6], [1], [2], [3], [4]], True),
        ([[9, 2], [1, 3], [1, 3]], True),
        ([[9, 0.5], [1, 3], [1, 3]], False),
        ([[0.5, 9], [1, 1]], False),
        ([[3], [1, 9], [2, 9]], True),
        ([[NAN], [1]], True),
        ([[NAN], [NAN]], False),
        ([[1], [NAN]], False),
        ([[1], [NAN], [0.5], [NAN]], False),
        ([[3, 3], [9], [1, 1], [1, 1]], True),
    ],
)
def test_what_is_worse_than_half_of_those_that_came_so_far_is_pruned(verdict, curves, prunes):
    assert verdict(MEDIAN, curves).stop is prunes


def test_the_last_value_counts_when_the_objective_is_the_last(verdict):
    curves = [[0.5, 9], [1, 1]]
    assert (verdict(MEDIAN, curves, at="last").stop, verdict(MEDIAN, curves, at="best").stop) == (True, False)


def test_a_metric_to_be_maximised_is_compared_the_other_way(verdict):
    assert verdict(MEDIAN, [[0.7], [0.8], [0.9]], mode="max").stop
    assert not verdict(MEDIAN, [[0.9], [0.8], [0.7]], mode="max").stop


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(MEDIAN, [[0.7], [0.8], [0.9]], mode="max")
    assert said.reason == "loss 0.7 at epoch 1 is worse than the median 0.85 of 2 other trials"
    assert (said.metric, said.value, said.best) == ("loss", 0.7, pytest.approx(0.85))


def test_one_other_trial_is_named_as_one(verdict):
    assert verdict(MEDIAN, [[2], [1]]).reason.endswith("is worse than the median 1 of 1 other trial")
