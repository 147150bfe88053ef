"""The container image that every node has: nothing but symbolic links into the host's ``/usr``.

No registry is needed, and no copy of Python or torch. A node mounts the host's ``/usr``, the interpreter, its
virtual environment and this repository, read-only, into every container of this image, so a container sees what
an image with all this in it would show. The pods need no hostPath volume for it, which the restricted Pod
Security profile would refuse. Containers of other images see their image and nothing of the host.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shlex
import shutil
import sys
import tarfile
from pathlib import Path

HOST_IMAGE = "testbed.local/host:1"
"""The image's name. Its containers can run what the host can: ``PYTHON``, a shell, ``curl``."""

PYTHON = sys.executable
"""Path, in containers too, of the Python interpreter that runs the tests, with all its packages."""

REPOSITORY = Path(__file__).resolve().parents[3]

PAUSE = "busybox"
"""The only program in the image, for the container that holds a pod's network and sees no host."""

LINKS = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}

DIRECTORIES = {"dev": 0o755, "etc": 0o755, "proc": 0o555, "sys": 0o555, "tmp": 0o1777, "usr": 0o755}

FILES = {
    "etc/group": "root:x:0:\ntrainer:x:1000:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    # Programs ask for the name and home of their user; restricted pods may not run as root.
    "etc/passwd": "root:x:0:0:root:/tmp:/bin/sh\ntrainer:x:1000:1000:trainer:/tmp:/bin/sh\n",
}


ENVIRONMENT = [
    "PATH=/usr/local/bin:/usr/bin:/bin",
    # Else the folder /trainjobs of a training pod, which Ray's workers begin in, goes before an editable installation.
    f"PYTHONPATH={REPOSITORY}:{REPOSITORY / 'operator'}",
]

HOST_VIEW = Path(__file__).with_name("host_view.py")

RUNC = """#!/bin/sh
case " $* " in *" create "*) {view} "$@" || exit ;; esac
exec runc "$@"
"""
"""containerd creates containers through this; what they see of the host depends on their image."""


def host_mounts() -> list[Path]:
    """What containers see of the host, read-only, at the same paths. No path lies below another."""
    wanted = ["/usr", "/etc/alternatives", "/etc/ld.so.cache", sys.prefix, sys.base_prefix, str(REPOSITORY)]
    paths = sorted({Path(path).resolve() for path in wanted if Path(path).exists()})
    return [path for path in paths if not any(other in path.parents for other in paths)]


def write_runc(directory: Path) -> Path:
    """Write a ``runc`` that gives the containers of ``HOST_IMAGE`` the host's directories; returns its path."""
    mounts = [
        {"type": "bind", "source": str(path), "destination": str(path), "options": ["rbind", "ro"]}
        for path in host_mounts()
    ]
    (directory / "host-mounts.json").write_text(json.dumps(mounts))
    runc = directory / "runc"
    view = [PYTHON, "-IS", str(HOST_VIEW), HOST_IMAGE, str(directory / "host-mounts.json")]
    runc.write_text(RUNC.format(view=shlex.join(view)))
    runc.chmod(0o755)
    return runc


def write_archive(path: Path) -> None:
    """Write the image as an archive that ``ctr images import`` and ``docker load`` accept."""
    layer = _layer()
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()],
        "os": "linux",
        "config": {"Cmd": [f"/{PAUSE}", "sleep", "2147483647"], "Env": ENVIRONMENT},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    manifest = [{"Config": "config.json", "RepoTags": [HOST_IMAGE], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as archive:
        _add_file(archive, "layer.tar", layer)
        _add_file(archive, "config.json", json.dumps(config).encode())
        _add_file(archive, "manifest.json", json.dumps(manifest).encode())


def _layer() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as layer:
        for name, mode in DIRECTORIES.items():
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, mode
            layer.addfile(directory)
        for name, target in LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            layer.addfile(link)
        for name, text in FILES.items():
            _add_file(layer, name, text.encode())
        busybox = shutil.which(PAUSE)
        assert busybox is not None, "a node needs a static busybox"
        _add_file(layer, PAUSE, Path(busybox).read_bytes(), mode=0o755)
    return buffer.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
