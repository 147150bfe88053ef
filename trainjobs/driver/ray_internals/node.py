"""A node of Ray with the processes that a training run needs: the raylet, on the head also the GCS, and the agent of
runtime environments, which Ray Tune asks for.

Left out are the API server, the autoscaler's monitor, the log monitor and the dashboard's agent, whose imports take
longer than Ray itself. Metrics, logs and states of Ray's own that these would show are not to be had.

The raylet waits 15 s, fixed in its code, for each agent to write the port that it has chosen into a file; on a busy
machine that is too short, the raylet aborts, and `ray.init` fails 30 s later. It waits for no port that it is told, so
the one that is left is chosen here.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

WITHOUT: Final = {"no_monitor": True, "include_log_monitor": False}
"""What `RayParams` calls the two processes that Ray can leave out by itself."""
AGENT_PORT: Final = "runtime_env_agent_port"
"""What `RayParams` calls the port of the agent that is left."""
RAYLET_OPTIONS: Final = (
    "--dashboard_agent_command=cat",
    "--metrics-agent-port=-1",
    "--metrics_export_port=-1",
    "--dashboard_agent_listen_port=-1",
)
"""For the raylet, in place of those before. It insists on an agent and ends with it: `cat` reads a pipe that the raylet
holds open, and ends when the raylet does. A port of -1 is what the agent of a Ray without dashboard has."""


@contextmanager
def lean() -> Iterator[None]:
    """A node that this process starts meanwhile is a lean one."""
    from ray._private import services
    from ray._private.parameter import RayParams

    initialise, start = RayParams.__init__, services.start_ray_process

    def with_less(self: RayParams, *args: Any, **fields: Any) -> None:
        initialise(self, *args, **fields)
        self.update(**WITHOUT)
        self.update_if_absent(**{AGENT_PORT: free_port()})

    def told(command: list[str], process_type: str, *args: Any, **options: Any) -> Any:
        more = RAYLET_OPTIONS if process_type == "raylet" else ()
        return start([*command, *more], process_type, *args, **options)

    with ExitStack() as stack:
        stack.enter_context(patch.object(RayParams, "__init__", with_less))
        stack.enter_context(patch.object(services, "start_ray_process", told))
        stack.enter_context(patch.object(services, "start_api_server", lambda *_, **__: (None, None)))
        yield


def free_port() -> int:
    """A port of this machine; another process may take it before Ray does, as with any."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def sessions() -> set[Path]:
    """Directories of Rays that this process has started: their names end with its process id."""
    from ray._common.utils import get_default_ray_temp_dir

    return set(Path(get_default_ray_temp_dir()).glob(f"session_*_{os.getpid()}"))
