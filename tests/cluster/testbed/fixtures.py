"""pytest fixtures of the test bed. One bed serves the whole test run; its parts start with their first test.

Where the bed cannot run, its tests skip with the reason; with ``CI=true`` they fail, because a test that
nobody runs anywhere proves nothing. Programs are built before the first test that needs them, and no
test's time limit covers ten minutes of compiling.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING, Protocol

import pytest
from testbed import binaries, built_images, requirements
from testbed.bed import Bed
from testbed.helm import Helm

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from testbed.controlplane import ControlPlane
    from testbed.fakenodes import FakeNodes
    from testbed.kubectl import Kubectl
    from testbed.node import Node

PARTS = {
    "control_plane": (requirements.CONTROL_PLANE_COMMANDS, requirements.CONTROL_PLANE_TOOLS),
    "helm": ((), (binaries.HELM,)),
    "node": (requirements.NODE_COMMANDS, requirements.NODE_TOOLS),
    "fake_nodes": (requirements.CONTROL_PLANE_COMMANDS, requirements.FAKE_NODES_TOOLS),
    "images": (built_images.COMMANDS, ()),
    "prometheus": (("prometheus", "promtool"), ()),
}
"""Part of the bed → commands and tools it needs."""


serial = itertools.count()
"""Keeps the namespaces of a test that runs twice in one cluster apart."""


failed_builds: dict[str, str] = {}
"""Folder of a tool → why it could not be built, for example without a network."""


class NewNamespace(Protocol):
    """Makes a namespace that is deleted after the test; returns the Kubectl that works in it."""

    def __call__(
        self, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None
    ) -> Kubectl: ...


looked_at: set[str] = set()
"""Parts whose programs are built, or cannot be."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Build what a test will need, before its time limit begins, and after the tests that need nothing."""
    for part in PARTS.keys() & set(getattr(item, "fixturenames", ())) - looked_at:
        looked_at.add(part)
        commands, tools = PARTS[part]
        if requirements.lacking(commands, tools) is None:
            _build(tools, item.config.pluginmanager.getplugin("terminalreporter"))
    return (yield)


def _build(tools: tuple[binaries.Tool, ...], reporter: pytest.TerminalReporter | None) -> None:
    for tool in binaries.unbuilt(tools):
        if reporter is not None:
            reporter.write_line(f"building {', '.join(tool.packages)} {tool.version}, once, for some minutes")
        try:
            binaries.build(tool)
        except binaries.MissingProgramError as error:
            failed_builds[tool.folder] = str(error)


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    """The whole test bed; ask for one of its parts instead."""
    require("control_plane")
    with Bed() as bed:
        yield bed


@pytest.fixture(scope="session")
def control_plane(bed: Bed) -> ControlPlane:
    """API server, controller manager and scheduler: Jobs get pods, but there is no node for them."""
    return bed.control_plane


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """kubectl with all rights."""
    return control_plane.kubectl


@pytest.fixture(scope="session")
def helm() -> Helm:
    """helm for charts; ``helm.on(kubectl)`` for a cluster."""
    require("helm")
    return Helm(binaries.program("helm"))


@pytest.fixture(scope="session")
def node(bed: Bed) -> Node:
    """A real node: pods are processes."""
    require("node")
    return bed.node(0)


@pytest.fixture(scope="session")
def two_nodes(node: Node, bed: Bed) -> tuple[Node, Node]:
    """Two real nodes. A test that breaks one mends it."""
    return node, bed.node(1)


@pytest.fixture(scope="session")
def fake_nodes(bed: Bed) -> FakeNodes:
    """kwok, for as many fake nodes as a test adds."""
    require("fake_nodes")
    return bed.fake_nodes


@pytest.fixture(scope="session")
def operator_image(node: Node, bed: Bed) -> str:
    """Name of the operator's image, built from this working tree, which all real nodes have."""
    return _built(built_images.OPERATOR, bed)


@pytest.fixture(scope="session")
def training_image(node: Node, bed: Bed) -> str:
    """Name of the training image without torch and Ray, which all real nodes have."""
    return _built(built_images.TRAINING_WITHOUT_TORCH, bed)


def _built(image: built_images.BuiltImage, bed: Bed) -> str:
    require("images")
    archive = bed.slot.directory / f"{image.dockerfile.parent.name}.tar"
    built_images.build(image, archive)
    bed.load(archive)
    return image.name


@pytest.fixture
def new_namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[NewNamespace]:
    """Namespaces named after the test."""
    stem = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).removeprefix("test-")[:40].strip("-")
    made: list[str] = []

    def make(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> Kubectl:
        name = f"{stem}-{next(serial)}"
        made.append(name)
        return kubectl.create_namespace(name, labels, annotations)

    yield make
    for name in made:
        kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def namespace(new_namespace: NewNamespace) -> Kubectl:
    """kubectl in a new namespace."""
    return new_namespace()


def require(part: str) -> None:
    """Skip, or in CI fail, the test that needs a part this machine cannot run."""
    commands, tools = PARTS[part]
    failed = next((failed_builds[tool.folder] for tool in tools if tool.folder in failed_builds), None)
    reason = requirements.lacking(commands, tools) or failed
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (a skip in CI is a failure)")
    pytest.skip(reason)
