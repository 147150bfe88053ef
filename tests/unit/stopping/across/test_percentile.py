import pytest

from trainjobs.stopping.across.percentile import quantile

OTHERS = [[1], [2], [3], [4], [5]]


@pytest.mark.parametrize(
    ("keep", "value", "prunes"),
    [(25, 2, False), (25, 2.1, True), (50, 3, False), (75, 4.1, True), (99, 5, True), (10, 1.4, False)],
)
def test_what_is_not_among_the_best_share_is_pruned(verdict, keep, value, prunes):
    assert verdict({"percentile": {"keep": keep}}, [[value], *OTHERS]).stop is prunes


def test_the_sentence_has_the_numbers(verdict):
    said = verdict({"percentile": {"keep": 25}}, [[2.5], *OTHERS])
    assert said.reason == "loss 2.5 at epoch 1 is worse than the best 25 % (2) of 5 other trials"


@pytest.mark.parametrize(
    ("values", "share", "found"),
    [([1], 0.5, 1), ([1, 2], 0.5, 1.5), ([1, 2, 3], 0.25, 1.5), ([1, float("inf")], 0.5, float("inf"))],
)
def test_a_quantile_is_interpolated(values, share, found):
    assert quantile(values, share) == found
