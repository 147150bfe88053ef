"""What becomes part of a pod may not hold up whoever reads it."""

import pytest

from manifests import job
from trainjobs.api.manifest import SpecError

SLOW = ["1e99999999", "0E-100000000", "+.5e+999"]
TEMPLATES = {
    "containers[0].resources.limits.cpu": lambda text: {
        "containers": [{"resources": {"limits": {"cpu": text}}}]
    },
    "initContainers[1].resources.requests.memory": lambda text: {
        "initContainers": [{"name": "a"}, {"resources": {"requests": {"memory": text}}}]
    },
    "overhead.cpu": lambda text: {"overhead": {"cpu": text}},
    "volumes[0].emptyDir.sizeLimit": lambda text: {"volumes": [{"emptyDir": {"sizeLimit": text}}]},
    "volumes[0].ephemeral.volumeClaimTemplate.spec.resources.requests.storage": lambda text: {
        "volumes": [
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": text}}}}}}
        ]
    },
    "containers[0].env[0].valueFrom.resourceFieldRef.divisor": lambda text: {
        "containers": [{"env": [{"valueFrom": {"resourceFieldRef": {"divisor": text}}}]}]
    },
}


@pytest.mark.parametrize("text", SLOW)
@pytest.mark.parametrize("path", TEMPLATES)
def test_a_quantity_that_takes_minutes_to_read_is_refused_wherever_it_is(path, text):
    with pytest.raises(SpecError) as refused:
        job(podTemplate={"spec": TEMPLATES[path](text)})
    problem = f"spec.podTemplate.spec: {path}: {text}: must have an exponent of at most two digits"
    assert str(refused.value).splitlines() == [problem]


@pytest.mark.parametrize("text", SLOW)
def test_so_it_is_in_fields_of_our_own(text):
    with pytest.raises(SpecError, match="must be a quantity"):
        job(trainer={"resourcesPerNode": {"limits": {"cpu": text}}})
    divisor = {"valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": text}}}
    with pytest.raises(SpecError, match=r"resourceFieldRef\.divisor: .*at most two digits"):
        job(trainer={"env": [{"name": "CPUS", **divisor}]})


@pytest.mark.parametrize("text", ["1e3", "2E-9", "12e18", "500m", "2Gi", "0.5"])
def test_what_is_quickly_read_is_taken(text):
    assert job(
        trainer={"resourcesPerNode": {"limits": {"cpu": text}}},
        podTemplate={"spec": {"overhead": {"cpu": text}, "containers": [{"args": ["1e99999999"]}]}},
    )
