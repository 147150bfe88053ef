"""Every criterion that a manifest may ask for, as strategies for hypothesis: plain values as YAML gives them.

Those of a family come from the types of its parameters, so a new family is in all of them. `SMALL` narrows what a
short history would never reach.
"""

from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

from annotated_types import Gt, Lt
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from trainjobs.api.base import HowMany
from trainjobs.api.stopping import Single

METRICS = ("a", "b")


def some(**fields):
    """A mapping with any of the optional fields."""
    return st.fixed_dictionaries({}, optional=fields)


def joined(*parts):
    return st.tuples(*parts).map(lambda each: {key: value for part in each for key, value in part.items()})


def one(**fields):
    return st.fixed_dictionaries(fields)


eighths = st.integers(-80, 80).map(lambda n: n / 8)
metrics = st.sampled_from(METRICS)
modes = st.sampled_from(["min", "max"])
policies = st.sampled_from(["Stop", "Count", "Ignore"])
smoothings = st.sampled_from([{"ema": {"alpha": 0.3}}, {"mean": {"window": 3}}, {"median": {"window": 4}}])
tolerant = st.sampled_from(["Error", "Ignore", "Ignore", "Ignore"])
gates = st.one_of(
    st.fixed_dictionaries({"epoch": st.integers(0, 5)}),
    st.fixed_dictionaries({"step": st.integers(0, 15)}),
    st.fixed_dictionaries({"metric": metrics, "below": eighths, "whenMissing": tolerant}),
    st.fixed_dictionaries({"metric": metrics, "above": eighths, "whenMissing": tolerant}),
)

SMALL = {
    "smoothing": smoothings,
    "whenMissing": tolerant,
    "epochs": st.integers(1, 12),
    "steps": st.integers(1, 40),
    "class": st.just("rules:Rule"),
    "parameters": st.just({}),
}
"""By the name of a parameter."""


def values(annotation, bounds):
    """Values of a parameter by its type and its bounds."""
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return values(kinds[0], [*bounds, *getattr(annotation, "__metadata__", ())])
    if get_origin(annotation) is tuple:
        return st.lists(values(kinds[0], []), min_size=1, max_size=2)
    if issubclass(annotation, Enum):
        return st.sampled_from([member.value for member in annotation])
    if issubclass(annotation, BaseModel):
        return parameters(annotation)
    if annotation in (bool, str):
        return st.booleans() if annotation is bool else metrics
    return numbers(annotation, bounds)


def numbers(kind, bounds):
    """Numbers within bounds: of whole ones the four smallest, of others eighths, up to 2 where they have no sign."""
    marks = [mark for bound in bounds for mark in (bound, *getattr(bound, "metadata", ()))]
    low = max((getattr(mark, "ge", getattr(mark, "gt", -10)) for mark in marks), default=-10)
    high = min((getattr(mark, "le", getattr(mark, "lt", 10)) for mark in marks), default=10)
    if kind is int:
        return st.integers(low, min(low + 3, high))
    high = min(high, low + 2) if low >= 0 else high
    open_below, open_above = (any(isinstance(mark, bound) for mark in marks) for bound in (Gt, Lt))
    return st.integers(int(8 * low) + open_below, int(8 * high) - open_above).map(lambda n: n / 8)


def parameters(model):
    """Mappings that the model takes: of alternatives as many as it asks for, of the rest any.

    A metric that is another one by default (`train_loss`) is always named: histories here have `METRICS` only.
    """
    given, free = {}, {}
    for name, field in model.model_fields.items():
        drawn = of_field(field)
        if name not in model.alternatives():
            by_default_elsewhere = type(field.default) is str
            (given if field.is_required() or by_default_elsewhere else free)[field.alias] = drawn
    rest = st.fixed_dictionaries(given, optional=free)
    return joined(rest, alternatives(model)) if model.choice else rest


def of_field(field):
    return SMALL[field.alias] if field.alias in SMALL else values(field.annotation, field.metadata)


def alternatives(model):
    fields = [model.model_fields[name] for name in model.alternatives()]
    drawn = {field.alias: of_field(field) for field in fields}
    if model.choice.many is HowMany.AT_LEAST_ONE:
        return some(**drawn).filter(bool)
    none = [st.just({})] if model.choice.many is HowMany.AT_MOST_ONE else []
    return st.one_of(*none, *(one(**{name: value}) for name, value in drawn.items()))


def is_valid(family):
    try:
        Single.model_validate(family)
    except ValidationError:
        return False
    return True


def of_type(name):
    field = Single.model_fields[name]
    return one(**{field.alias: values(field.annotation, [])}).filter(is_valid)


families = st.one_of(*map(of_type, Single.alternatives()))
"""One criterion of one family."""


def composed(members):
    held = st.lists(members, min_size=1, max_size=3)
    quorum = held.flatmap(lambda of: st.integers(1, len(of)).map(lambda count: {"count": count, "of": of}))
    return st.one_of(one(all=held), one(atLeast=quorum), st.fixed_dictionaries({"not": members}))


def criteria_of(families):
    """The families themselves and in compositions, with gates."""
    singles = joined(families, some(startAfter=gates))
    members = singles | joined(composed(singles), some(startAfter=gates))
    return members | joined(composed(members), some(startAfter=gates))


criteria = criteria_of(families)
defaults = some(
    mode=modes,
    nonFinite=policies,
    smoothing=smoothings,
    startAfter=gates,
    minEpochs=st.integers(1, 8),
    minSteps=st.integers(1, 24),
)
