"""What becomes part of a pod may not hold up whoever reads it."""

from pathlib import Path

import pytest

from manifests import job
from trainjobs.api import pod_rules
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
        podTemplate={
            "spec": {"overhead": {"cpu": text}, "containers": [{"name": "trainer", "args": ["1e99999999"]}]}
        },
    )


CALL = {"port": 80, "host": "169.254.169.254"}


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"restartPolicy": "Always"}, 'restartPolicy: "Always": must be Never or unset, since '),
        (
            {"containers": [{"name": "trainer", "restartPolicy": "OnFailure"}]},
            'containers[0].restartPolicy: "OnFailure": must be Never or unset, since ',
        ),
        (
            {"containers": [{"name": "trainer", "restartPolicyRules": []}]},
            "containers[0].restartPolicyRules: []: must be Never or unset, since ",
        ),
        ({"subdomain": "mine"}, 'subdomain: "mine": must be unset, since pods of a run find each other'),
        ({"hostname": "mine"}, 'hostname: "mine": must be unset, since pods of a run find each other'),
        (
            {"containers": [{"name": "trainer"}, {"name": "x"}]},
            'containers[1].name: "x": may hold only trainer',
        ),
        *(
            (
                {kind: [{"name": "trainer", **called}]},
                f'{kind}[0].{path}.host: "169.254.169.254": must be unset, since the node itself would call',
            )
            for kind in ("containers", "initContainers")
            for path, called in (
                ("livenessProbe.httpGet", {"livenessProbe": {"httpGet": CALL}}),
                ("readinessProbe.tcpSocket", {"readinessProbe": {"tcpSocket": CALL}}),
                ("startupProbe.httpGet", {"startupProbe": {"httpGet": CALL}}),
                ("lifecycle.postStart.httpGet", {"lifecycle": {"postStart": {"httpGet": CALL}}}),
                ("lifecycle.preStop.tcpSocket", {"lifecycle": {"preStop": {"tcpSocket": CALL}}}),
            )
        ),
    ],
)
def test_what_no_pod_of_a_run_may_have_is_refused_where_it_is_written(spec, problem):
    with pytest.raises(SpecError) as refused:
        job(podTemplate={"spec": spec})
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"spec.podTemplate.spec.{problem}")


@pytest.mark.parametrize(
    "spec",
    [
        {"restartPolicy": "Never"},
        {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
        {"containers": [{"name": "trainer", "livenessProbe": {"httpGet": {"port": 80, "host": ""}}}]},
        {"containers": "no list", "initContainers": ["no container"]},
        {"containers": [{"name": "trainer", "lifecycle": ["no handler"]}]},
    ],
    ids=str,
)
def test_what_a_pod_may_have_or_kubernetes_refuses_is_taken(spec):
    assert job(podTemplate={"spec": spec})


def test_the_charts_policy_says_it_in_the_same_words():
    root = Path(__file__).parents[3]
    said = " ".join((root / "manifests" / "install.yaml").read_text().split())
    for rule in (pod_rules.OUTLIVES, pod_rules.NAMES, pod_rules.RESTARTS, pod_rules.HOST):
        assert rule in said
