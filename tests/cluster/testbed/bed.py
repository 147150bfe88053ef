"""A test bed as a whole: what has been asked for is started once, and everything is stopped together."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from testbed import slots
from testbed.controlplane import ControlPlane
from testbed.fakenodes import FakeNodes
from testbed.node import Node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


class Bed:
    """One cluster on this machine, a context manager. Each part starts when it is first asked for.

    ``apiserver_options`` are flags of kube-apiserver in addition to the bed's own. With ``default_rates``, controllers
    and scheduler ask no more of it in a second than Kubernetes' defaults let them; else they may ask far more.
    """

    def __init__(self, apiserver_options: Sequence[str] = (), default_rates: bool = False) -> None:
        self._apiserver_options = apiserver_options
        self._default_rates = default_rates
        self._cleanup = ExitStack()
        self._slot: slots.Slot | None = None
        self._control_plane: ControlPlane | None = None
        self._nodes: dict[int, Node] = {}
        self._fake_nodes: FakeNodes | None = None
        self._archives: list[Path] = []

    def __enter__(self) -> Self:
        self._slot = slots.take()
        self._cleanup.callback(self._slot.release)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def slot(self) -> slots.Slot:
        """The bed's number, addresses and directory on this machine."""
        assert self._slot is not None, "a Bed is used in a with statement"
        return self._slot

    @property
    def control_plane(self) -> ControlPlane:
        """The running control plane."""
        if self._control_plane is None:
            control_plane = ControlPlane(self.slot, self._apiserver_options, self._default_rates)
            self._cleanup.callback(control_plane.stop)
            control_plane.start()
            self._control_plane = control_plane
        return self._control_plane

    def node(self, index: int) -> Node:
        """The real node ``node-<index>``, ready."""
        if index not in self._nodes:
            node = Node(self.control_plane, index)
            self._cleanup.callback(node.stop)
            node.start()
            for archive in self._archives:
                node.load(archive)
            self._nodes[index] = node
        return self._nodes[index]

    def load(self, archive: Path) -> None:
        """Give the images of a docker-archive to all nodes, also to those that come later."""
        self._archives.append(archive)
        for node in self._nodes.values():
            node.load(archive)

    @property
    def fake_nodes(self) -> FakeNodes:
        """kwok, running."""
        if self._fake_nodes is None:
            fake_nodes = FakeNodes(self.control_plane)
            fake_nodes.start()
            self._fake_nodes = fake_nodes
        return self._fake_nodes
