import pytest

from trainjobs.stopping.across.wilcoxon import doubled_ranks, p_value

NAN = float("nan")
WILCOXON = {"wilcoxon": {"pThreshold": 0.1}}


@pytest.mark.parametrize(
    ("worse_by", "p"),
    [
        ([], 1),
        ([0, 0], 1),
        ([1], 1 / 2),
        ([1, 2], 1 / 4),
        ([1, 2, 3, 4, 5], 1 / 32),
        ([-1, 2, 3, 4, 5], 2 / 32),
        ([1, -2, 3, 4, 5], 3 / 32),
        ([-1, -2, -3], 1),
        ([1, 1, -1], 1 / 2),
    ],
)
def test_the_chance_is_counted_out(worse_by, p):
    assert p_value(worse_by) == pytest.approx(p)


def test_beyond_fifty_differences_it_is_approximated_well():
    alternating = [(-1) ** (i % 3 == 0) * i for i in range(1, 51)]
    exact = p_value(alternating)
    import trainjobs.stopping.across.wilcoxon as module

    sizes = [rank for rank, _ in doubled_ranks(alternating)]
    least = sum(rank for rank, d in doubled_ranks(alternating) if d > 0)
    assert module._normal(sizes, least) == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(
    ("curves", "prunes"),
    [
        ([[2, 2, 2, 2], [1, 1.5, 1.6, 1.7]], True),
        ([[2, 2, 2], [1, 1.5, 1.6]], False),
        ([[1, 1, 1, 1], [2, 2, 2, 2]], False),
        ([[2, 2, 2, 0.5], [1, 1.5, 1.6, 1.7]], False),
        ([[2, 2, 2, 2], [3, 3, 3, 3], [1, 1.5, 1.6, 1.7]], True),
        ([[2, 2, 2, 2, 2], [1, 1.5, 1.6, 1.7]], False),
        ([[2, NAN, 2, 2, 2], [1, 1.5, 1.6, 1.7, 1.8]], True),
    ],
)
def test_what_is_significantly_worse_than_the_best_is_pruned(verdict, curves, prunes):
    assert verdict(WILCOXON, curves).stop is prunes


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(WILCOXON, [[2, 2, 2, 2], [1, 1.5, 1.6, 1.7]])
    assert said.reason == (
        "loss 2 at epoch 4 is significantly worse than the best of the others, 1 "
        "(p 0.0625, pThreshold 0.1, 4 epochs)"
    )
