"""Ports for Ray's agents, chosen before Ray starts.

Ray's raylet starts two agents and waits 15 s, fixed in its code, for each of them to write the port it has chosen into
a file; on a busy machine that is too short, the raylet aborts, and `ray.init` fails 30 s later. It waits for no port
that it is told. `ray.init` cannot tell it, but what `ray start` uses can.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

PORTS = ("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port", "metrics_export_port")
"""What `RayParams` calls the ports that the raylet would wait for."""
FLAG = "--dashboard_agent_listen_port"
"""The one that Ray tells the agent and not the raylet."""


@contextmanager
def named_ports() -> Iterator[None]:
    """A Ray that is started meanwhile is told its agents' ports."""
    from ray._private import services
    from ray._private.parameter import RayParams

    ports = free_ports()
    initialise, start = RayParams.__init__, services.start_ray_process

    def with_ports(self: RayParams, *args: Any, **fields: Any) -> None:
        initialise(self, *args, **fields)
        self.update(**ports)

    def told(command: list[str], process_type: str, *args: Any, **options: Any) -> Any:
        more = [f"{FLAG}={ports['dashboard_agent_listen_port']}"] if process_type == "raylet" else []
        return start([*command, *more], process_type, *args, **options)

    with ExitStack() as stack:
        stack.enter_context(patch.object(RayParams, "__init__", with_ports))
        stack.enter_context(patch.object(services, "start_ray_process", told))
        yield


def free_ports() -> dict[str, int]:
    """A port of this machine for each of `PORTS`; another process may take one before Ray does, as with any."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        return {name: server.getsockname()[1] for name, server in zip(PORTS, servers, strict=True)}
