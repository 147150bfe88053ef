"""`python -m trainjob_operator`: the operator's process."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from trainjob_operator.app import HEALTH_PORT, METRICS_PORT, Operator, Options, connections
from trainjob_operator.trainjob.plan import Settings
from trainjobs.kube.resources import Key
from trainjobs.kube.transport import connect

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def main() -> int:
    """Run until SIGTERM (0) or until another operator leads (1)."""
    arguments = _arguments()
    logging.basicConfig(
        level=arguments.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    stop = threading.Event()
    asked = threading.Event()

    def end(*_: object) -> None:
        asked.set()
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    options = Options(
        identity=arguments.identity,
        lease=Key(arguments.namespace, "trainjobs-operator"),
        settings=Settings(default_image=arguments.default_image),
        namespaces=arguments.watch_namespaces,
        workers=arguments.workers,
        metrics_port=arguments.metrics_port,
        health_port=arguments.health_port,
    )
    Operator(connect(arguments.kubeconfig, connections(options)), options).run(stop)
    return 0 if asked.is_set() else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trainjob_operator", description=__doc__)
    parser.add_argument("--kubeconfig", help="cluster to work in (default: the one this pod is in)")
    parser.add_argument(
        "--namespace", default=_own_namespace(), help="where the Lease is (default: %(default)s)"
    )
    parser.add_argument(
        "--watch-namespaces", type=_names, default=(), metavar="A,B",
        help="namespaces whose TrainJobs it looks after (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--identity", default=socket.gethostname(), help="name in the Lease (default: host name)"
    )
    parser.add_argument("--workers", type=int, default=8, help="passes at a time (default: %(default)s)")
    parser.add_argument(
        "--metrics-port", type=int, default=METRICS_PORT, help="port of /metrics (default: %(default)s)"
    )
    parser.add_argument(
        "--health-port", type=int, default=HEALTH_PORT,
        help="port of /healthz and /readyz (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--default-image", default=Settings().default_image, help="image of TrainJobs that name none"
    )
    parser.add_argument("--log-level", default=os.environ.get("LOG_LEVEL", "INFO"))
    return parser.parse_args()


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _own_namespace() -> str:
    return _NAMESPACE.read_text().strip() if _NAMESPACE.exists() else "default"


if __name__ == "__main__":
    sys.exit(main())
