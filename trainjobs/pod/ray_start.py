"""`ray start`, of a node with the processes that a training run needs: `python -m trainjobs.pod.ray_start OPTIONS`."""

from __future__ import annotations

import sys

from trainjobs.driver.ray_internals.node import lean


def main(options: list[str]) -> None:
    """Start a node and, with `--block`, stay until it ends."""
    from ray.scripts.scripts import cli

    with lean():
        cli(["start", *options])


if __name__ == "__main__":
    main(sys.argv[1:])
