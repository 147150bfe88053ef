import inspect

import pytest

from trainjobs.api.stopping import Criterion, Single
from trainjobs.api.stopping import Monitored as MonitoredParameters
from trainjobs.stopping import Scope
from trainjobs.stopping.composition import AtLeast, Not
from trainjobs.stopping.families import FAMILIES, build
from trainjobs.stopping.gates import Delayed
from trainjobs.stopping.monitored import Monitored

every_family = pytest.mark.parametrize("parameters", FAMILIES, ids=[kind.__name__ for kind in FAMILIES])
BUDGET = {"budget": {"epochs": 1}}


def test_every_family_of_the_specification_has_a_judge():
    assert len(FAMILIES) == len(Single.alternatives())


@every_family
def test_a_family_is_a_documented_fold_of_its_parameters_name(parameters):
    family = FAMILIES[parameters]
    assert family.__name__ == parameters.__name__
    assert inspect.getdoc(family)
    assert {"start", "update", "judge", "stops", "earliest"} <= set(dir(family))


@every_family
def test_a_family_that_judges_a_metric_leaves_the_shared_rules_alone(parameters):
    family = FAMILIES[parameters]
    assert issubclass(parameters, MonitoredParameters) == issubclass(family, Monitored)
    if issubclass(family, Monitored):
        assert {"start", "update", "judge"}.isdisjoint(vars(family))


@pytest.mark.parametrize(
    ("criterion", "kind"),
    [
        (BUDGET, FAMILIES[type(Criterion.model_validate(BUDGET).budget)]),
        ({"all": [BUDGET]}, AtLeast),
        ({"atLeast": {"count": 1, "of": [BUDGET]}}, AtLeast),
        ({"not": BUDGET}, Not),
        ({**BUDGET, "startAfter": {"epoch": 0}}, Delayed),
    ],
)
def test_a_criterion_is_built_by_its_key(criterion, kind):
    assert type(build(Criterion.model_validate(criterion), Scope("here"))) is kind
