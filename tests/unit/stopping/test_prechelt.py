"""GL, PQ and UP against the definitions of Prechelt's paper, transcribed as they stand there.

Epochs are counted from 1, errors are positive and fall, E[t - 1] is the error after epoch t.
"""

from math import inf

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

thorough = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
ERRORS = st.integers(1, 40).map(lambda n: n / 8)
CURVES = st.lists(st.tuples(ERRORS, ERRORS), min_size=1, max_size=25)


def gl(va, t):
    return 100 * (va[t - 1] / min(va[:t]) - 1)


def p(tr, t, k):
    strip = tr[t - k : t]
    return 1000 * (sum(strip) / (k * min(strip)) - 1)


def pq(va, tr, t, k):
    lost, gained = gl(va, t), p(tr, t, k)
    return 0 if lost == 0 else inf if gained == 0 else lost / gained


def up(va, t, s, k):
    """Whether UP_s stops after the end-of-strip epoch t: UP_(s-1) stops after t - k, and va(t) > va(t - k)."""
    if t - k < 1:
        return False
    return va[t - 1] > va[t - k - 1] and (s == 1 or up(va, t - k, s - 1, k))


def first(epochs, stops):
    return next((t for t in epochs if stops(t)), None)


@thorough
@given(CURVES, st.sampled_from([1.5, 7.3, 33.1, 151.7]))
def test_generalization_loss_stops_where_the_paper_does(first_stop, curves, alpha):
    va = [a for a, _ in curves]
    expected = first(range(1, len(va) + 1), lambda t: gl(va, t) > alpha)
    assert first_stop({"generalizationLoss": {"alpha": alpha}}, va) == expected


@thorough
@given(CURVES, st.sampled_from([0.0123, 0.1234, 0.789]), st.integers(2, 6))
def test_the_productivity_quotient_stops_where_the_paper_does(first_stop, curves, alpha, k):
    va, tr = ([each[i] for each in curves] for i in (0, 1))
    expected = first(range(k, len(va) + 1, k), lambda t: pq(va, tr, t, k) > alpha)
    criterion = {"productivityQuotient": {"alpha": alpha, "stripLength": k, "against": "train"}}
    assert first_stop(criterion, curves={"m": va, "train": tr}) == expected


@thorough
@given(CURVES, st.integers(1, 3), st.integers(2, 5))
def test_generalization_increase_stops_where_the_paper_does(first_stop, curves, s, k):
    va = [a for a, _ in curves]
    expected = first(range(k, len(va) + 1, k), lambda t: up(va, t, s, k))
    assert first_stop({"generalizationIncrease": {"strips": s, "stripLength": k}}, va) == expected
