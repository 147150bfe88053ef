"""What holds for every specification and every history."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from specifications import criteria, criteria_of, defaults, eighths, families, joined, one, some

from trainjobs.api import Length
from trainjobs.api.stopping import Stopping
from trainjobs.stopping import MissingMetric, Observation, Panel, replay

quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

LENGTH = Length.of(12, None)
wide = st.one_of(eighths, eighths, eighths, st.floats())


@st.composite
def histories(draw, values=wide, always=False):
    """One or three reports an epoch, the last of them when its training is over."""
    reports = one(a=values, b=values) if always else some(a=values, b=values) | one(a=values, b=values)
    each = draw(st.sampled_from([1, 3]))
    return tuple(
        Observation(-(-i // each), 3 * i, float(i), reported, whole=i % each == 0)
        for i, reported in enumerate(draw(st.lists(reports, max_size=12)), start=1)
    )


def panel(stopping):
    return Panel.of(Stopping.model_validate({"monitor": "a", **stopping}), LENGTH)


def outcome(judged, history, states=()):
    """All that can be seen of a run, after each report; an error ends it."""
    seen, state = [], judged.fold(())
    for observation in history:
        try:
            state = judged.fold((observation,), state)
        except MissingMetric as error:
            return [*seen, str(error)]
        ruling = judged.judge(state)
        acting = [finding for finding in ruling.findings if not finding.shadow]
        seen.append(repr((ruling.stop, acting, ruling.best, ruling.waiting)))
    return seen


@quick
@given(st.lists(criteria, max_size=4), defaults, histories(), st.integers(0, 12))
def test_folding_in_two_parts_equals_folding_the_whole(several, above, history, cut):
    judged = panel({**above, "criteria": several})
    try:
        whole = judged.fold(history)
    except MissingMetric:
        with pytest.raises(MissingMetric):
            judged.fold(history[cut:], judged.fold(history[:cut]))
        return
    parts = judged.fold(history[cut:], judged.fold(history[:cut]))
    assert repr(judged.judge(parts)) == repr(judged.judge(whole))


@quick
@given(st.lists(criteria, max_size=3), criteria, st.integers(0, 3), defaults, histories())
def test_a_shadow_criterion_never_changes_the_outcome(several, shadow, place, above, history):
    watched = [*several[:place], {**shadow, "shadow": True}, *several[place:]]
    plain, shadowed = panel({**above, "criteria": several}), panel({**above, "criteria": watched})
    expected, found = outcome(plain, history), outcome(shadowed, history)
    if expected and "was not reported" in expected[-1]:
        assert len(found) == len(expected)
        assert "was not reported" in found[-1]
        expected, found = expected[:-1], found[:-1]
    assert found == expected
    assert shadowed.limits == plain.limits


@quick
@given(criteria, defaults, histories())
def test_verdicts_are_consistent_in_themselves(criterion, above, history):
    judged, state = panel({**above, "criteria": [criterion]}), None
    for seen in history:
        try:
            state = judged.fold((seen,), state)
        except MissingMetric:
            return
        said = judged.judge(state).findings[0].verdict
        assert 0 <= said.closeness <= 1
        assert said.closeness == 1 or not said.stop
        assert not (said.stop and (said.undecided or said.gated))
        assert said.reason


def mirrored(part):
    """The same question asked of the negated metrics."""
    if isinstance(part, list):
        return [mirrored(each) for each in part]
    if not isinstance(part, dict):
        return part
    flipped = {key: mirrored(value) for key, value in part.items()}
    for key in {"value", "baseline"} & set(part):
        flipped[key] = -part[key]
    for key, other in (("below", "above"), ("above", "below")):
        if key in part:
            flipped[other] = -part[key]
            if other not in part:
                del flipped[key]
    weighed = "metric" in part and not {"below", "above"} & set(part)
    if "mode" in part or weighed:
        flipped["mode"] = {"min": "max", "max": "min"}[part.get("mode", "min")]
    return flipped


def is_directed(part):
    """An error, a rate and a weight are not the same with the other sign; gradients have a direction of their own."""
    undirected = ("oneStandardError", "learningRate", "importance", "evidence", "gradientDisparity")
    return not any(word in repr(part) for word in undirected)


def mapped(history, change):
    return tuple(replace(seen, metrics={k: change(v) for k, v in seen.metrics.items()}) for seen in history)


def stop_epochs(stopping, history):
    judged, state, epochs = panel(stopping), None, []
    for seen in history:
        state = judged.fold((seen,), state)
        if judged.judge(state).stop:
            epochs.append(seen.epoch)
    return epochs


@quick
@given(criteria_of(families.filter(is_directed)), defaults, histories(always=True))
def test_a_flipped_sign_with_a_flipped_mode_stops_at_the_same_epochs(criterion, above, history):
    stopping = {"mode": "min", **above, "criteria": [criterion]}
    negated = mapped(history, lambda value: -value)
    assert stop_epochs(stopping, history) == stop_epochs(mirrored(stopping), negated)


def shifted(part, by):
    """The same question asked of metrics that are all larger by a constant."""
    if isinstance(part, list):
        return [shifted(each, by) for each in part]
    if not isinstance(part, dict):
        return part
    moved = {key: shifted(value, by) for key, value in part.items()}
    return moved | {key: part[key] + by for key in {"value", "baseline", "below", "above"} & set(part)}


def is_shift_free(part):
    """Relative margins depend on where zero is, and an average's rounding does too."""
    text = repr(part)
    relative = (
        "Relative",
        "factor",
        "generalizationLoss",
        "productivityQuotient",
        "weighted",
        "oneStandardError",
    )
    relative += ("decayedPlateau", "evidence")
    return not any(word in text for word in (*relative, "ema", "mean"))


@quick
@given(criteria_of(families.filter(is_shift_free)), st.integers(-9, 9), histories(eighths, always=True))
def test_a_constant_shift_stops_at_the_same_epochs(criterion, by, history):
    moved = mapped(history, lambda value: value + by)
    assert stop_epochs({"criteria": [criterion]}, history) == stop_epochs(
        {"criteria": [shifted(criterion, by)]}, moved
    )


@quick
@given(st.lists(criteria | joined(criteria, one(shadow=st.just(True))), max_size=3), defaults, histories())
def test_a_replay_finds_what_judging_every_report_in_full_finds(several, above, history):
    judged, state, first = panel({**above, "criteria": several}), None, {}
    for seen in history:
        try:
            state = judged.fold((seen,), state)
        except MissingMetric:
            return
        for judge, inner in zip(judged.judges, state.states, strict=True):
            verdict = judge.fold.judge(inner)
            assert judge.fold.stops(inner) == verdict.stop
            if verdict.stop:
                first.setdefault(judge.name, (seen.step, verdict.reason, repr(verdict.value), state.best))
    again = replay(judged, iter(history))
    found = {
        alone.name: (alone.stop.step, alone.stop.reason, repr(alone.stop.value), alone.stop.best)
        for alone in again.criteria
        if alone.stop
    }
    assert found == first
    assert again.reports == len(history)
