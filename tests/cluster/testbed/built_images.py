"""The project's images, built from their Dockerfiles as a release builds them, but without a registry.

Its base is a Debian with Python that mmdebstrap makes. buildah's storage is in the cache of the test bed, so the
base and the installed packages are made once, and a change of the code costs seconds. The packages come from where
this machine's pip takes them.
"""

from __future__ import annotations

import ast
import configparser
import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testbed.binaries import cache_home, locked
from testbed.images import REPOSITORY

COMMANDS = ("buildah", "mmdebstrap")

BASE = (
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    "--include=ca-certificates,python3,python3-pip,python3-venv",
    "trixie",
)
"""Command that writes the base image's files, less their place; its text is the key of the cache."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

SOURCES = frozenset(
    {"cert", "client-cert", "default-timeout", "extra-index-url", "find-links", "index-url", "no-index"}
    | {"proxy", "retries", "timeout", "trusted-host"}
)
"""What of pip's configuration says where packages come from."""


@dataclass(frozen=True)
class BuiltImage:
    """An image and what it is made of."""

    name: str
    dockerfile: Path
    arguments: tuple[str, ...] = ()
    context: Path = REPOSITORY


OPERATOR = BuiltImage("testbed.local/trainjobs-operator:1", REPOSITORY / "operator" / "Dockerfile")

TRAINING_WITHOUT_TORCH = BuiltImage(
    "testbed.local/trainjobs:1",
    REPOSITORY / "trainjobs" / "Dockerfile",
    ("REQUIREMENTS=operator/requirements.txt",),
)
"""The training image less its 6 GB of torch, CUDA and Ray: what the Dockerfile does by itself."""

ALL_IMAGES = (OPERATOR, TRAINING_WITHOUT_TORCH)


def build(image: BuiltImage, archive: Path | None = None) -> None:
    """Build an image, or take it from the cache, and write it as a docker-archive."""
    with locked("images"), tempfile.TemporaryDirectory() as scratch:
        base = _base(Path(scratch))
        configuration = _pip_configuration()
        secret = Path(scratch) / "pip.conf"
        _write(configuration, secret)
        _buildah(
            "build",
            "--layers",
            "--force-rm",
            "--isolation=chroot",
            "--network=host",
            "--pull-never",
            f"--build-arg=BASE={base}",
            # Only the project's own Dockerfiles ask for the secret; a volume leaves an empty file in the image.
            f"--secret=id=pip.conf,src={secret}"
            if image.context == REPOSITORY
            else f"--volume={secret}:/etc/pip.conf:ro",
            *(f"--volume={path}:{path}:ro" for path in _paths(configuration)),
            *(f"--build-arg={argument}" for argument in image.arguments),
            f"--file={image.dockerfile}",
            f"--tag={image.name}",
            str(image.context),
        )
        if archive is not None:
            _buildah("push", image.name, f"docker-archive:{archive}:{image.name}")


def _base(scratch: Path) -> str:
    """Name of the base image, which is made if it is not in the storage."""
    name = f"localhost/debian-python:{hashlib.sha256(' '.join(BASE).encode()).hexdigest()[:12]}"
    if name not in _buildah("images", "--format={{.Name}}:{{.Tag}}").split():
        files = scratch / "base.tar"
        _run(*BASE, str(files))
        container = _buildah("from", "scratch").strip()
        _buildah("add", container, str(files), "/")
        _buildah("config", f"--env=PATH={PATH}", container)
        _buildah("commit", "--rm", container, name)
    return name


def _pip_configuration() -> dict[str, str]:
    """Where this machine's pip takes packages from; the environment comes last and wins, as in pip."""
    listed = _run(sys.executable, "-m", "pip", "config", "list")
    settings = (line.partition("=") for line in listed.splitlines())
    named = ((key.rpartition(".")[2], value) for key, _, value in settings)
    return {name: ast.literal_eval(value) for name, value in named if name in SOURCES}


def _write(configuration: dict[str, str], file: Path) -> None:
    parser = configparser.RawConfigParser()
    parser["global"] = configuration
    with file.open("w") as stream:
        parser.write(stream)


def _paths(configuration: dict[str, str]) -> list[Path]:
    """Files and directories that the configuration names, which the build has to see."""
    values = (Path(value) for setting in configuration.values() for value in setting.split())
    return sorted({path for path in values if path.is_absolute() and path.exists()})


def _buildah(command: str, *arguments: str) -> str:
    storage = cache_home() / "images"
    return _run("buildah", f"--root={storage}", f"--runroot={storage}/run", command, *arguments)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} ended with code {done.returncode}: {done.stdout}{done.stderr}"[-4000:])
    return done.stdout
