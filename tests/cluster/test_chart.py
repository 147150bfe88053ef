"""The chart as text: what values make of it, which of them it refuses, and that what is generated is not old."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from installed import CHART
from prometheus_client import CollectorRegistry
from testbed.helm import Helm, HelmError
from testbed.images import REPOSITORY
from testbed.kubectl import Kubectl

from trainjob_operator.app import HEALTH_PORT, METRICS_PORT
from trainjob_operator.core.loop_metrics import LoopMetrics
from trainjob_operator.trainjob.metrics import Metrics
from trainjob_operator.trainsweep.metrics import SweepMetrics

GENERATED = (
    "manifests/crds/trainjobs.trainjobs.dev.yaml",
    "manifests/crds/trainsweeps.trainjobs.dev.yaml",
    "charts/trainjobs/files/crds/trainjobs.trainjobs.dev.yaml",
    "charts/trainjobs/files/crds/trainsweeps.trainjobs.dev.yaml",
    "manifests/install.yaml",
    "docs/reference.md",
    "docs/commands.md",
)
EVERYTHING = (
    "image.digest=sha256:" + 64 * "a",
    "imagePullSecrets[0].name=registry",
    "nodeSelector.zone=a",
    "tolerations[0].operator=Exists",
    "priorityClassName=system-cluster-critical",
    "commonLabels.team=ml",
    "podAnnotations.note=x",
    "watchNamespaces={vision,speech}",
    "podMonitor.enabled=true",
    "prometheusRule.enabled=true",
    "dashboard.enabled=true",
)

PROMETHEUS_OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)
"""Go module, version and checksum of the definitions of PodMonitor and PrometheusRule."""


@cache
def rendered(helm: Helm, *settings: str) -> list[dict]:
    return [item for item in yaml.safe_load_all(text(helm, *settings)) if item]


@cache
def text(helm: Helm, *settings: str) -> str:
    flags = [f"--set={setting}" for setting in settings]
    return helm.within("trainjobs-system")("template", "trainjobs", str(CHART), *flags)


def only(items: list[dict], kind: str, name: str = "") -> dict:
    (item,) = (each for each in items if each["kind"] == kind and name in ("", each["metadata"]["name"]))
    return item


def pod(items: list[dict]) -> dict:
    return only(items, "Deployment", "trainjobs-operator")["spec"]["template"]["spec"]


def operator(items: list[dict]) -> dict:
    return pod(items)["containers"][0]


def test_helm_finds_nothing_wrong(helm: Helm):
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_what_is_generated_is_up_to_date(tmp_path):
    make = ["make", "--silent", "generate", f"OUT={tmp_path}"]
    subprocess.run(make, cwd=REPOSITORY, check=True)
    for name in GENERATED:
        assert (REPOSITORY / name).read_text() == (tmp_path / name).read_text(), (
            f"{name}: run `make generate`"
        )


def test_a_crd_arrives_as_it_was_generated_braces_and_all(helm: Helm, tmp_path):
    chart = shutil.copytree(CHART, tmp_path / "chart")
    file = chart / "files" / "crds" / "trainjobs.trainjobs.dev.yaml"
    crd = yaml.safe_load(file.read_text())
    crd["spec"]["versions"][0]["additionalPrinterColumns"][0]["description"] = (
        "Braces: {{ .Values }} {{ nonsense"
    )
    file.write_text(yaml.safe_dump(crd))
    items = [item for item in yaml.safe_load_all(helm("template", "trainjobs", str(chart))) if item]
    assert only(items, "CustomResourceDefinition", "trainjobs.trainjobs.dev") == crd


def test_the_chart_has_the_version_of_the_project():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (project["version"], project["version"])


REFUSED = {
    "a value that does not exist": ("replicas=2", "additional properties 'replicas' not allowed"),
    "a part of one": ("image.name=x", "'/image': additional properties 'name' not allowed"),
    "negative": ("replicaCount=-1", "'/replicaCount': minimum"),
    "text for a number": ("replicaCount=two", "'/replicaCount': got string, want integer"),
    "a tag with a blank": ("image.tag=a b", "'/image/tag': 'a b' does not match pattern"),
    "half a digest": ("image.digest=sha256:abc", "'/image/digest': 'sha256:abc' does not match pattern"),
    "no image": ("image.repository=", "'/image/repository'"),
    "pull policy": ("image.pullPolicy=Sometimes", "must be one of 'Always', 'IfNotPresent', 'Never'"),
    "pull secret without name": (
        "imagePullSecrets={registry}",
        "'/imagePullSecrets/0': got string, want object",
    ),
    "a namespace, not a list": ("watchNamespaces=vision", "'/watchNamespaces': got string, want array"),
    "no name of a namespace": ("watchNamespaces={Vision}", "'/watchNamespaces/0': 'Vision' does not match"),
    "a namespace twice": ("watchNamespaces={a,a}", "items at 0 and 1 are equal"),
    "a capability by another name": (
        "podTemplates.allowedCapabilities={CAP_SYS_PTRACE}",
        "allowedCapabilities/0",
    ),
    "no account": ("podTemplates.allowedServiceAccounts={a|b}", "allowedServiceAccounts/0"),
    "log level": ("logLevel=LOUD", "must be one of 'DEBUG', 'INFO', 'WARNING', 'ERROR'"),
    "a label that the chart sets": ("commonLabels.app\\.kubernetes\\.io/name=x", "app.kubernetes.io/name"),
    "port": ("networkPolicy.apiServerPorts={0}", "'/networkPolicy/apiServerPorts/0': minimum"),
    "interval": ("podMonitor.interval=often", "'/podMonitor/interval': 'often' does not match pattern"),
    "switch": ("dashboard.enabled=maybe", "'/dashboard/enabled': got string, want boolean"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_value_is_refused_by_its_path(helm: Helm, case: str):
    setting, words = REFUSED[case]
    with pytest.raises(HelmError, match=re.escape(words)):
        rendered(helm, setting)


VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
TAKEN_AWAY = {"resources", "labels"}
"""Values with contents of which a `null` is no mistake: somebody wants less of them."""


def values(part: dict, *above: str) -> Iterator[tuple[tuple[str, ...], object]]:
    """Each value of the chart with its path."""
    for name, value in part.items():
        yield (*above, name), value
        if isinstance(value, dict):
            yield from values(value, *above, name)


NULLS = {".".join(path): (path, value) for path, value in values(VALUES)}


@pytest.mark.parametrize(("path", "value"), NULLS.values(), ids=NULLS)
def test_a_null_is_the_empty_value_and_refused_by_its_name_where_it_may_not_be_empty(
    helm: Helm, path: tuple[str, ...], value: object
):
    null, (*above, name) = f"{'.'.join(path)}=null", path
    if TAKEN_AWAY & set(path):
        assert text(helm, null)
    elif not value:
        assert text(helm, null) == text(helm)
    else:
        at = "".join(f"/{each}" for each in above)
        with pytest.raises(HelmError, match=re.escape(f"at '{at}': missing property '{name}'")):
            text(helm, null)


@pytest.mark.parametrize(
    ("settings", "image"),
    [
        ((), "trainjobs-operator:0.1.0"),
        (("image.repository=registry.example/op", "image.tag=1.2"), "registry.example/op:1.2"),
        (("image.tag=1.2", EVERYTHING[0]), "trainjobs-operator@sha256:" + 64 * "a"),
    ],
)
def test_the_image_is_named_by_digest_tag_or_version(helm: Helm, settings: tuple[str, ...], image: str):
    assert operator(rendered(helm, *settings))["image"] == image


def test_values_reach_the_operator(helm: Helm):
    arguments = operator(rendered(helm, "defaultImage=registry.example/t:1", "logLevel=DEBUG", *EVERYTHING))[
        "args"
    ]
    assert arguments == [
        "--default-image=registry.example/t:1",
        "--log-level=DEBUG",
        "--watch-namespaces=vision,speech",
    ]
    assert operator(rendered(helm))["args"][0] == "--default-image=trainjobs:0.1.0"


def test_values_reach_every_pod(helm: Helm):
    items = rendered(helm, *EVERYTHING)
    listener = only(items, "Deployment", "trainjobs-check-listener")["spec"]["template"]["spec"]
    for spec in (pod(items), only(items, "Pod")["spec"], listener):
        assert spec["imagePullSecrets"] == [{"name": "registry"}]
        assert spec["nodeSelector"] == {"zone": "a"}
        assert spec["tolerations"] == [{"operator": "Exists"}]
        assert spec["priorityClassName"] == "system-cluster-critical"


def test_every_object_has_its_labels_and_its_place(helm: Helm):
    for item in rendered(helm, *EVERYTHING):
        if item["kind"] == "CustomResourceDefinition":
            assert item["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
            continue
        assert item["metadata"]["labels"]["team"] == "ml", item
        assert item["metadata"]["labels"]["app.kubernetes.io/name"].startswith("trainjobs")
        of_the_cluster = item["kind"].startswith(("Cluster", "ValidatingAdmission"))
        assert ("namespace" in item["metadata"]) is not of_the_cluster, item


def test_what_running_jobs_need_stays_when_the_release_goes(helm: Helm):
    """Helm keeps what is annotated so; `kubectl delete --selector` of the install page what is labelled otherwise."""
    items = rendered(helm)
    kept = ("ClusterRole", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    for item in items:
        stays = item["kind"] == "CustomResourceDefinition" or (
            item["kind"] in kept and item["metadata"]["name"] == "trainjobs-runner"
        )
        policy = item["metadata"].get("annotations", {}).get("helm.sh/resource-policy")
        assert (policy == "keep") is stays, item["metadata"]
        selected = item["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "trainjobs"
        assert selected is not (stays or item["metadata"]["name"].startswith("trainjobs-check")), item[
            "metadata"
        ]


def test_other_accounts_are_allowed_by_name_and_restricted_as_ours(helm: Helm):
    items = rendered(helm, "podTemplates.allowedServiceAccounts={cloud}")
    runner = only(items, "ValidatingAdmissionPolicy", "trainjobs-runner")["spec"]
    assert ":(trainjobs-runner|cloud)$" in runner["matchConditions"][0]["expression"]
    allowed = json.dumps(only(items, "ValidatingAdmissionPolicy", "trainjobs-pod-templates"))
    assert "may be trainjobs-runner, cloud" in allowed


def test_metrics_are_for_whom_a_value_names(helm: Helm):
    (to_all,) = only(rendered(helm), "NetworkPolicy", "trainjobs-operator")["spec"]["ingress"]
    assert "from" not in to_all
    value = "networkPolicy.metricsFrom[0].podSelector.matchLabels.app=prometheus"
    (to_one,) = only(rendered(helm, value), "NetworkPolicy", "trainjobs-operator")["spec"]["ingress"]
    assert to_one["from"] == [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]


def test_probes_are_for_the_node_alone(helm: Helm):
    """A node reaches its pods whatever policies say, so none has to let it in."""
    items = rendered(helm)
    (rule,) = only(items, "NetworkPolicy", "trainjobs-operator")["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == ["metrics"]
    ports = {port["name"]: port["containerPort"] for port in operator(items)["ports"]}
    assert ports == {"metrics": METRICS_PORT, "health": HEALTH_PORT}
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert operator(items)[probe]["httpGet"] == {"path": path, "port": "health"}


def test_with_listed_namespaces_nothing_is_granted_elsewhere(helm: Helm):
    items = rendered(helm, "watchNamespaces={vision,speech}")
    assert not [item for item in items if item["kind"] == "ClusterRoleBinding"]
    bound = {item["metadata"]["namespace"] for item in items if item["kind"] == "RoleBinding"}
    assert bound == {"vision", "speech", "trainjobs-system"}
    assert [rule["resources"] for rule in only(items, "Role", "trainjobs-operator-lease")["rules"]] == [
        ["leases"]
    ] * 2


@pytest.mark.parametrize("part", ["podDisruptionBudget", "networkPolicy"])
def test_a_part_can_be_left_out(helm: Helm, part: str):
    kind = part[0].upper() + part[1:]
    assert only(rendered(helm), kind, "trainjobs-operator")
    assert kind not in {item["kind"] for item in rendered(helm, f"{part}.enabled=false")}


def test_monitoring_is_off_by_default_and_asks_for_metrics_that_there_are(helm: Helm):
    kinds = {item["kind"] for item in rendered(helm)}
    assert not kinds & {"PodMonitor", "PrometheusRule", "ConfigMap"}
    items = rendered(helm, *EVERYTHING)
    monitor = only(items, "PodMonitor")["spec"]
    ports = {port["name"] for port in operator(items)["ports"]}
    assert {endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]} == {"metrics"} <= ports
    template = only(items, "Deployment", "trainjobs-operator")["spec"]["template"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= template.items()
    groups = only(items, "PrometheusRule")["spec"]["groups"]
    alerts = [rule["expr"] for group in groups for rule in group["rules"]]
    dashboard = json.loads(only(items, "ConfigMap")["data"]["trainjobs.json"])
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for text in (*alerts, *panels) for name in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)}
    functions = {"histogram_quantile", "min_over_time", "label_replace", "model_type"}
    assert len(asked) > 8
    assert asked - functions <= set(exposed())


@pytest.mark.skipif(
    shutil.which("go") is None, reason="needs Go, which fetches the Prometheus operator's module"
)
def test_the_prometheus_operator_takes_what_is_for_it(helm: Helm, kubectl: Kubectl, namespace: Kubectl):
    kinds = {"PodMonitor": "podmonitors", "PrometheusRule": "prometheusrules"}
    source = module(*PROMETHEUS_OPERATOR) / "example" / "prometheus-operator-crd"
    kubectl.apply(*(source / f"monitoring.coreos.com_{plural}.yaml" for plural in kinds.values()))
    for plural in kinds.values():
        kubectl.wait(f"crd/{plural}.monitoring.coreos.com", "--for=condition=Established")
    strictly = ("create", "--dry-run=server", "--validate=strict", "--filename=-")
    for kind in kinds:
        item = only(rendered(helm, *EVERYTHING), kind)
        metadata = {**item["metadata"], "namespace": namespace.namespace}
        namespace(*strictly, stdin=json.dumps({**item, "metadata": metadata}))


def module(name: str, version: str, checksum: str) -> Path:
    """Where the source of a Go module is, which is fetched if need be."""
    fetched = subprocess.run(
        ["go", "mod", "download", "-json", f"{name}@{version}"],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(fetched.stdout)
    assert found["Sum"] == checksum
    return Path(found["Dir"])


def exposed():
    """Names under which Prometheus gets the operator's metrics."""
    registry = CollectorRegistry()
    LoopMetrics(registry), SweepMetrics(registry)
    metrics = Metrics(registry)
    metrics.watch(list)
    for metric in registry.collect():
        suffix = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
        yield from (metric.name + each for each in suffix)
    yield "trainjobs_trainsweeps"  # SweepMetrics' own collector, as that of TrainJobs
