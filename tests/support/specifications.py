"""Every criterion that a manifest may ask for, as strategies for hypothesis: plain values as YAML gives them."""

from hypothesis import strategies as st

METRICS = ("a", "b")


def some(**fields):
    """A mapping with any of the optional fields."""
    return st.fixed_dictionaries({}, optional=fields)


def joined(*parts):
    return st.tuples(*parts).map(lambda each: {key: value for part in each for key, value in part.items()})


eighths = st.integers(-80, 80).map(lambda n: n / 8)
sizes = st.integers(0, 16).map(lambda n: n / 8)
smoothings = st.sampled_from([{"ema": {"alpha": 0.3}}, {"mean": {"window": 3}}, {"median": {"window": 4}}])
metrics = st.sampled_from(METRICS)
modes = st.sampled_from(["min", "max"])
policies = st.sampled_from(["Stop", "Count", "Ignore"])
tolerant = st.sampled_from(["Error", "Ignore", "Ignore", "Ignore"])
patience = st.integers(1, 4)
gates = st.one_of(
    st.fixed_dictionaries({"epoch": st.integers(0, 5)}),
    st.fixed_dictionaries({"step": st.integers(0, 15)}),
    st.fixed_dictionaries({"metric": metrics, "below": eighths, "whenMissing": tolerant}),
    st.fixed_dictionaries({"metric": metrics, "above": eighths, "whenMissing": tolerant}),
)
reading = some(monitor=metrics, whenMissing=tolerant)
judging = joined(reading, some(mode=modes, nonFinite=policies, smoothing=smoothings))
deltas = some(minDelta=sizes, minDeltaMode=st.sampled_from(["Absolute", "Relative"]), baseline=eighths)


def one(**fields):
    return st.fixed_dictionaries(fields)


families = st.one_of(
    one(plateau=joined(one(patience=patience), deltas, judging)),
    one(threshold=joined(one(value=eighths), judging)),
    one(divergence=joined(one(value=eighths), some(patience=patience), judging)),
    one(divergence=joined(one(factor=st.sampled_from([0.1, 0.5])), some(patience=patience), judging)),
    one(divergence=joined(one(amount=sizes), some(patience=patience), judging)),
    one(nonFinite=joined(some(patience=patience), reading)),
    one(budget=some(epochs=st.integers(1, 12), steps=st.integers(1, 40)).filter(bool)),
    one(overfitting=joined(one(gap=sizes, against=metrics), some(patience=patience), judging)),
)


def composed(members):
    held = st.lists(members, min_size=1, max_size=3)
    quorum = held.flatmap(lambda of: st.integers(1, len(of)).map(lambda count: {"count": count, "of": of}))
    return st.one_of(one(all=held), one(atLeast=quorum), st.fixed_dictionaries({"not": members}))


singles = joined(families, some(startAfter=gates))
members = singles | joined(composed(singles), some(startAfter=gates))
criteria = members | joined(composed(members), some(startAfter=gates))
defaults = some(
    mode=modes,
    nonFinite=policies,
    smoothing=smoothings,
    startAfter=gates,
    minEpochs=st.integers(1, 8),
    minSteps=st.integers(1, 24),
)
