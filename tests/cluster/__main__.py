"""The test bed by hand: ``python tests/cluster build``, ``shell``, and ``helm …``, the pinned one."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys

from testbed import binaries, built_images, images, requirements
from testbed.bed import Bed
from testbed.binaries import program

CHART = images.REPOSITORY / "charts" / "trainjobs"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build", help="build all programs and images of the test bed into the cache")
    helm = commands.add_parser("helm", help="run the pinned helm", prefix_chars="\0", add_help=False)
    helm.add_argument("run", nargs="*")
    shell = commands.add_parser(
        "shell", help="start a cluster, and a shell whose KUBECONFIG is the cluster's"
    )
    shell.add_argument("--nodes", type=int, default=1, help="real nodes (default: 1)")
    shell.add_argument("--fake-nodes", type=int, default=0, help="fake nodes, by kwok (default: 0)")
    shell.add_argument("--no-chart", action="store_true", help="do not install charts/trainjobs")
    shell.add_argument("run", nargs="*", help="a command to run instead of the shell, after --")
    arguments = parser.parse_args()
    if arguments.command == "helm":
        return subprocess.run([program("helm"), *arguments.run], check=False).returncode
    return build() if arguments.command == "build" else open_shell(arguments)


def build() -> int:
    for tool in binaries.unbuilt():
        print(f"building {', '.join(tool.packages)} {tool.version} …", flush=True)
        binaries.build(tool)
    for tool in binaries.ALL_TOOLS:
        for name in tool.packages:
            print(program(name))
    if reason := requirements.lacking(built_images.COMMANDS, ()):
        sys.exit(reason)
    for image in built_images.ALL_IMAGES:
        print(f"building {image.name} …", flush=True)
        built_images.build(image)
    return 0


def open_shell(arguments: argparse.Namespace) -> int:
    commands = requirements.CONTROL_PLANE_COMMANDS + (requirements.NODE_COMMANDS if arguments.nodes else ())
    if reason := requirements.lacking(commands, binaries.ALL_TOOLS):
        sys.exit(reason)
    # A plain kill ends the bed in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Bed() as bed:
        kubeconfig = bed.control_plane.kubeconfig
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        directories = dict.fromkeys(str(program(name).parent) for name in ("kubectl", "helm"))
        environment["PATH"] = os.pathsep.join([*directories, os.environ["PATH"]])
        for index in range(arguments.nodes):
            bed.node(index)
        if arguments.fake_nodes:
            bed.fake_nodes.add(arguments.fake_nodes)
        if (CHART / "Chart.yaml").exists() and not arguments.no_chart:
            install = ["helm", "upgrade", "--install", "trainjobs", str(CHART)]
            subprocess.run(
                [*install, "--namespace=trainjobs-system", "--create-namespace"], env=environment, check=True
            )
        print(f"KUBECONFIG={kubeconfig}  image: {images.HOST_IMAGE}  logs: {bed.slot.logs}", flush=True)
        # The terminal sends Ctrl-C to all: it is meant for what runs in the shell.
        signal.signal(signal.SIGINT, lambda *_: None)
        command = arguments.run or [os.environ.get("SHELL", "/bin/sh")]
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
