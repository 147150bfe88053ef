"""The images that the Dockerfiles make work in pods that may do nothing but compute."""

import json

import pytest
from testbed.kubectl import RESTRICTED, Kubectl
from testbed.pods import LOCKED_DOWN, locked_down

WHAT_IS_THERE = """
import importlib.util, json, os, shutil, sys
modules = ["kubernetes", "ray", "rich", "setuptools", "torch", "trainjob_operator", "trainjobs"]
print(json.dumps({
    "user": [os.getuid(), os.getgid()],
    "modules": [name for name in modules if importlib.util.find_spec(name)],
    "left of the build": [path for path in ("/tools", "/source", "/wheels", "/code", "/etc/pip.conf")
                          if os.path.exists(path)],
    "home": os.access(os.path.expanduser("~"), os.W_OK),
}))
"""


def output(kubectl: Kubectl, manifest: dict) -> str:
    """What a pod prints until it ends well."""
    kubectl.create(manifest)
    kubectl.wait(f"pod/{manifest['metadata']['name']}", "--for=jsonpath={.status.phase}=Succeeded")
    return kubectl("logs", manifest["metadata"]["name"])


@pytest.fixture
def restricted(new_namespace) -> Kubectl:
    return new_namespace(labels=RESTRICTED)


def test_the_operator_gets_ready_and_ends_when_asked(operator_pod: Kubectl):
    there = json.loads(operator_pod("exec", "operator", "--", "python", "-c", WHAT_IS_THERE))
    assert there["user"] == [65532, 65532]
    assert there["modules"] == ["kubernetes", "rich", "trainjob_operator", "trainjobs"]
    assert there["left of the build"] == []
    operator_pod("exec", "operator", "--", "python", "-c", "import os; os.kill(1, 15)")
    operator_pod.wait("pod/operator", "--for=jsonpath={.status.phase}=Succeeded")


def test_the_operators_image_takes_its_options(restricted: Kubectl, operator_image: str):
    assert "--default-image" in output(restricted, locked_down("help", operator_image, "--help"))


def test_the_training_image_has_the_library_and_a_home(restricted: Kubectl, training_image: str):
    free = {name: value for name, value in LOCKED_DOWN.items() if name != "readOnlyRootFilesystem"}
    command = ["python", "-c", WHAT_IS_THERE]
    there = json.loads(
        output(restricted, locked_down("what", training_image, *command, securityContext=free))
    )
    assert there["user"] == [1000, 1000]
    assert there["modules"] == ["rich", "trainjob_operator", "trainjobs"]
    assert there["left of the build"] == []
    assert there["home"]
    assert "Usage" in output(restricted, locked_down("cli", training_image, "trainjobs", "--help"))
