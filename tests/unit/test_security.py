"""What docs/security.md says is shown by tests that there are; and what each role of the installation may do."""

import re
from pathlib import Path

import yaml

from trainjobs.api.pod_contract import AGENTS_PORT, RAY_AGENT_PORT, RAY_PORT

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "shown by" not in line]
INSTALLED = [
    item for item in yaml.safe_load_all((ROOT / "manifests" / "install.yaml").read_text()) if item is not None
]


def test_a_test_that_the_page_names_is_there():
    assert NAMED
    gone = [(file, name) for file, name in NAMED if f"\ndef {name}(" not in (ROOT / file).read_text()]
    assert gone == []


def test_each_row_of_the_page_names_a_test():
    assert ROWS
    assert [row for row in ROWS if not re.search(r"`tests/[\w/]+\.py::\w+` \|$", row)] == []


def test_every_fixed_port_of_a_training_pod_is_on_the_page():
    for port in (RAY_PORT, AGENTS_PORT, RAY_AGENT_PORT):
        assert f"\n| {port}" in PAGE


def rules(role):
    """(group, resource, names, verb) of a ClusterRole of the installation."""
    (found,) = [
        item for item in INSTALLED if item["kind"] == "ClusterRole" and item["metadata"]["name"] == role
    ]
    return {
        (group, resource, tuple(rule.get("resourceNames", ())), verb)
        for rule in found["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_operator_makes_secrets_and_reads_none():
    verbs = {verb for _, resource, _, verb in rules("trainjobs-operator") if resource == "secrets"}
    assert verbs == {"create"}


def test_the_operator_binds_one_role():
    bound = [(names, resource) for _, resource, names, verb in rules("trainjobs-operator") if verb == "bind"]
    assert bound == [(("trainjobs-runner",), "clusterroles")]
    assert not {verb for _, _, _, verb in rules("trainjobs-operator")} & {"escalate", "impersonate", "*"}


def test_the_role_of_training_pods_is_to_read_trainjobs_and_write_a_status():
    assert rules("trainjobs-runner") == {
        ("trainjobs.dev", "trainjobs", (), "get"),
        ("trainjobs.dev", "trainjobs", (), "watch"),
        ("trainjobs.dev", "trainjobs/status", (), "patch"),
        ("trainjobs.dev", "trainsweeps", (), "get"),
        ("trainjobs.dev", "trainsweeps", (), "watch"),
        ("trainjobs.dev", "trainsweeps/status", (), "patch"),
    }
