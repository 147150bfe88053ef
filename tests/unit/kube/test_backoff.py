import pytest

from trainjobs.kube.backoff import Backoff


@pytest.mark.parametrize(("failures", "expected"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (1000, 10)])
def test_the_delay_doubles_up_to_the_longest(failures, expected):
    assert Backoff(1, 10, random=lambda: 1.0).after(failures) == expected


def test_jitter_takes_away_up_to_half():
    assert Backoff(1, 10, random=lambda: 0.0).after(3) == 2
