"""Finds the programs of the test bed, and builds those that are missing.

Each folder in ``tests/cluster/tools`` is a Go module without code that pins programs by ``tool`` directives;
its ``go.mod`` and ``go.sum`` are the only place where versions and checksums stand. A program is looked for
in

1. the directory named by the environment variable ``TRAINJOBS_TESTBED_BIN``, at any version,
2. ``PATH``, when its major and minor version are the pinned ones,
3. the cache (``~/.cache/trainjobs-testbed/<module>-<version>``),

and otherwise built into that cache, once, however many processes ask for it.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = Path(__file__).resolve().parents[1] / "tools"

DIRECTORY_VARIABLE = "TRAINJOBS_TESTBED_BIN"
"""Environment variable naming a directory of ready-made programs, for machines that may not build."""


class MissingProgramError(RuntimeError):
    """A program was not found and cannot be built here."""


@dataclass(frozen=True)
class Tool:
    """One Go module under ``tools`` and the programs built from it."""

    folder: str
    module: str
    packages: dict[str, str]
    """Program name → Go package."""

    version_command: tuple[str, ...] = ("--version",)
    version_variable: str | None = None
    """Go variable the release build sets to its version. Kubernetes without it says v0.0.0-master."""

    @property
    def version(self) -> str:
        """The pinned version, such as ``v1.36.3``."""
        text = (TOOLS / self.folder / "go.mod").read_text()
        match = re.search(rf"^(?:require )?\s*{re.escape(self.module)} (v\S+)", text, re.MULTILINE)
        assert match is not None, f"{self.folder}/go.mod does not require {self.module}"
        return match[1]

    @property
    def cache(self) -> Path:
        """Where builds of the pinned version are kept."""
        return cache_home() / f"{self.folder}-{self.version}"


KUBERNETES = Tool(
    "kubernetes",
    "k8s.io/kubernetes",
    {
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubectl",
            "kubelet",
            "kube-proxy",
        )
    },
    version_variable="k8s.io/component-base/version.gitVersion",
)
ETCD = Tool("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"})
COREDNS = Tool(
    "coredns",
    "github.com/coredns/coredns",
    {"coredns": "github.com/coredns/coredns"},
    version_command=("-version",),
)
KWOK = Tool("kwok", "sigs.k8s.io/kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"})
HELM = Tool(
    "helm",
    "helm.sh/helm/v4",
    {"helm": "helm.sh/helm/v4/cmd/helm"},
    version_command=("version", "--short"),
)
ALL_TOOLS = (KUBERNETES, ETCD, COREDNS, KWOK, HELM)


def program(name: str) -> Path:
    """Path of the program ``name``, which is built first when it is nowhere to be found.

    Raises MissingProgramError where it would have to be built and there is no Go, or the build fails.
    """
    tool = next(tool for tool in ALL_TOOLS if name in tool.packages)
    found = find(name)
    if found is None:
        build(tool)
        found = tool.cache / name
    return found


def find(name: str) -> Path | None:
    """Path of the program ``name`` if it need not be built."""
    tool = next(tool for tool in ALL_TOOLS if name in tool.packages)
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if directory and (Path(directory) / name).exists():
        return Path(directory) / name
    on_path = shutil.which(name)
    if on_path and _release(_reported_version(on_path, tool)) == _release(tool.version):
        return Path(on_path)
    cached = tool.cache / name
    return cached if cached.exists() else None


def unbuilt(tools: tuple[Tool, ...] = ALL_TOOLS) -> list[Tool]:
    """The tools of which a program is missing."""
    return [tool for tool in tools if any(find(name) is None for name in tool.packages)]


def build(tool: Tool) -> None:
    """Build all programs of ``tool`` into the cache, at the lowest priority."""
    go = shutil.which("go")
    if go is None:
        raise MissingProgramError(
            f"{', '.join(tool.packages)} {tool.version} not found, and no Go here to build them: "
            f"install Go, or name a directory that holds them in {DIRECTORY_VARIABLE}"
        )
    variable = f" -X {tool.version_variable}={tool.version}" if tool.version_variable else ""
    with locked(tool.folder):
        missing = {
            name: package for name, package in tool.packages.items() if not (tool.cache / name).exists()
        }
        tool.cache.mkdir(parents=True, exist_ok=True)
        for name, package in missing.items():
            # A temporary name first: whoever finds the final one finds a complete program.
            with tempfile.TemporaryDirectory(dir=tool.cache) as directory:
                output = Path(directory) / name
                built = subprocess.run(
                    ["nice", "-n", "19", go, "build", "-p", "2", "-trimpath", "-ldflags", f"-s -w{variable}",
                     "-o", output, package],
                    cwd=TOOLS / tool.folder,
                    env={**os.environ, "CGO_ENABLED": "0"},
                    capture_output=True,
                    text=True,
                    check=False,
                )  # fmt: skip
                if built.returncode != 0:
                    raise MissingProgramError(
                        f"building {name} {tool.version} failed:\n{built.stderr[-4000:]}"
                    )
                output.replace(tool.cache / name)


def cache_home() -> Path:
    """Directory of all builds, below the user's cache home."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "trainjobs-testbed"


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process build what is called so while the others wait, and see its result afterwards."""
    cache_home().mkdir(parents=True, exist_ok=True)
    with (cache_home() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _reported_version(path: str, tool: Tool) -> str:
    command = ["version", "--client"] if Path(path).name == "kubectl" else tool.version_command
    answer = subprocess.run([path, *command], capture_output=True, text=True, check=False)
    return answer.stdout + answer.stderr


def _release(version: str) -> str | None:
    """Major and minor version: the first thing like ``1.36`` in ``version``."""
    match = re.search(r"\d+\.\d+", version)
    return match[0] if match else None
