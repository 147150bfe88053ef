"""The operator: the kinds that it looks after, wired into one process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry

from trainjob_operator.core.controller import Controller, Host
from trainjob_operator.core.leader_election import Elector
from trainjob_operator.core.loop_metrics import LoopMetrics
from trainjob_operator.core.manager import Manager
from trainjob_operator.trainjob import controller as trainjob
from trainjob_operator.trainjob.plan import Settings
from trainjob_operator.trainsweep import controller as trainsweep
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import Key
from trainjobs.kube.transport import Transport

METRICS_PORT: Final = 8080
"""Of `/metrics`; controller-runtime's default, as is the other."""
HEALTH_PORT: Final = 8081
"""Of `/healthz` and `/readyz`, which the kubelet asks."""


@dataclass(frozen=True, slots=True)
class Options:
    """How one operator runs."""

    identity: str
    """Name of this process among those that stand for election; the pod's."""
    lease: Key
    """Where the Lease is."""
    settings: Settings = field(default_factory=Settings)
    namespaces: tuple[str, ...] = ()
    """Namespaces whose TrainJobs it sees, for an operator with rights in these alone. Empty: all."""
    workers: int = 8
    """Passes at a time, for each kind. They wait for the API server most of the time."""
    host: str = ""
    """Where it is asked for metrics and probes. Empty: at every address of the pod."""
    metrics_port: int = METRICS_PORT
    health_port: int = HEALTH_PORT


MakeController: TypeAlias = Callable[[Host, Options], Controller]

KINDS: Final[tuple[MakeController, ...]] = (
    lambda host, options: trainjob.controller(host, options.settings),
    lambda host, options: trainsweep.controller(host, options.settings),
)
"""All kinds. Another one is a package beside `trainjob/`, and an entry here."""
WATCHES: Final = 4
"""Of a kind, in each namespace: the objects of the kind, and those that are made for them."""


def connections(options: Options) -> int:
    """Requests to the API server that go on at the same time, at most: passes, watches, the Lease and one to spare."""
    return len(KINDS) * (options.workers + WATCHES * max(1, len(options.namespaces))) + 2


class Operator(Manager):
    """Everything that runs, wired together."""

    def __init__(
        self,
        transport: Transport,
        options: Options,
        kinds: tuple[MakeController, ...] = KINDS,
    ) -> None:
        client, registry = KubeClient(transport), CollectorRegistry()
        host = Host(client, options.identity, options.namespaces, registry, LoopMetrics(registry))
        elector = Elector(client, options.lease, options.identity)
        controllers = [kind(host, options) for kind in kinds]
        metrics, probes = (options.host, options.metrics_port), (options.host, options.health_port)
        super().__init__(host, controllers, elector, metrics, probes, options.workers)
