import pytest

from trainjobs.stopping.across.successive_halving import rung_of

NAN = float("nan")
HALVING = {"successiveHalving": {"reductionFactor": 2, "minEpochs": 2}}


@pytest.mark.parametrize(
    ("curves", "prunes"),
    [
        ([[9, 3], [9, 1], [9, 2]], True),
        ([[9, 2], [9, 1], [9, 3]], False),
        ([[9, 2], [9, 1], [9, 2]], False),
        ([[9, 2], [9, 1], [9, 1.5], [9, 2], [9, 3]], True),
        ([[9], [1], [1]], False),
        ([[9, None, 3], [9, 1, 1], [9, 2, 2]], True),
        ([[NAN, NAN], [9, 1], [9, 2]], True),
        ([[NAN, NAN], [NAN, NAN], [9, 1]], False),
        ([[NAN, NAN], [NAN, NAN], [NAN, NAN]], False),
    ],
)
def test_at_a_rung_the_best_half_goes_on(verdict, curves, prunes):
    assert verdict(HALVING, curves).stop is prunes


@pytest.mark.parametrize(("better", "prunes"), [(0, False), (2, False), (3, True), (5, True)])
def test_the_share_is_of_all_that_came_to_the_first_rung(verdict, better, prunes):
    """Of 12 trials, 3 may be beyond epoch 4, though no other has come there."""
    others = [[9, 1]] * better + [[9, 7]] * (11 - better)
    assert verdict(HALVING, [[9, 3, 3, 3], *others, [1], [1]]).stop is prunes


def test_a_trial_that_passed_a_rung_alone_is_asked_again_when_others_have_come(verdict):
    assert not verdict(HALVING, [[9, 3, 3]]).stop
    assert not verdict(HALVING, [[9, 3, 3], [9, 1]]).stop
    assert verdict(HALVING, [[9, 3, 3], [9, 1], [9, 2]]).stop


def test_a_trial_that_ended_before_a_rung_counts_with_what_it_had_come_to(verdict):
    assert verdict(HALVING, [[9, 3, 3, 2.5], [9, 1], [9, 2]]).stop
    assert not verdict(HALVING, [[9, 3, 3, 1.5], [9, 1], [9, 2]]).stop


def test_two_go_on_however_late_the_rung(verdict):
    late = [9.0] * 31
    assert not verdict(HALVING, [[*late, 2], [*late, 1], [*late, 3]]).stop
    assert verdict(HALVING, [[*late, 3], [*late, 1], [*late, 2]]).stop


def test_others_are_compared_as_they_were_at_the_rung(verdict):
    assert not verdict(HALVING, [[9, 2], [9, 3, 0.1, 0.1], [9, 3, 0.1, 0.1]]).stop


@pytest.mark.parametrize(
    ("epoch", "rung"), [(1, None), (2, 2), (3, 2), (5, 2), (6, 6), (17, 6), (18, 18), (60, 54)]
)
def test_each_rung_is_a_factor_further(epoch, rung):
    assert rung_of(epoch, 2, 3) == rung


def test_the_sentence_has_the_numbers(verdict):
    said = verdict(HALVING, [[9, 3, 1], [9, 1], [9, 2]])
    assert said.reason == (
        "loss 3 at epoch 2 is not among the best 2 of 3 trials at the rung of epoch 2 (limit 2)"
    )
    assert said.value == 3
    assert verdict(HALVING, [[9], [9, 2]]).reason == "the first rung is epoch 2"
    assert verdict(HALVING, [[9, 1], [9]]).reason == (
        "0 of 1 other trial that a comparison needs came to epoch 2"
    )
