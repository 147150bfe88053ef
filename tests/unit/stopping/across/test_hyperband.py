from collections import Counter

import pytest

from trainjobs.stopping.across.hyperband import bracket, shares

HYPERBAND = {"hyperband": {"reductionFactor": 3, "minEpochs": 1, "maxEpochs": 9}}


@pytest.mark.parametrize(("last", "count"), [(1, 1), (2, 1), (3, 2), (9, 3), (26, 3), (27, 4)])
def test_there_is_a_bracket_for_each_rung_that_a_trial_can_begin_at(last, count):
    assert len(shares(1, last, 3)) == count


def test_brackets_get_trials_as_hyperband_gives_them():
    """For R = 9, η = 3: 9, 5 and 3 trials, of which 5 is 4.5 rounded up."""
    assert shares(1, 9, 3) == pytest.approx((9 / 16.5, 4.5 / 16.5, 3 / 16.5))


def test_trials_are_spread_over_the_brackets_by_their_names():
    of = shares(1, 9, 3)
    found = Counter(bracket(f"{number:04}", of) for number in range(10_000))
    assert [found[i] / 10_000 for i in range(3)] == pytest.approx(of, abs=0.02)


def test_a_trial_is_compared_within_its_bracket_alone(verdict):
    of = shares(1, 9, 3)
    mine = bracket("mine", of)
    names = ("a", "b", "c", "d", "e", "f", "g", "h")
    peers = [name for name in names if bracket(name, of) == mine]
    assert 0 < len(peers) < len(names)
    first = 3**mine
    others = [[0.1] * first if name in peers else [0.01] * 9 for name in names]
    said = verdict(HYPERBAND, [[0.2] * first, *others])
    keep = max(2, (len(peers) + 1) // 3)
    assert said.stop
    assert said.reason.endswith(
        f"is not among the best {keep} of {len(peers) + 1} trials at the rung of bracket {mine} of epoch {first} "
        "(limit 0.1)"
    )
