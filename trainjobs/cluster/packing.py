"""What is submitted: a manifest, and the Python files beside it, its code, as a ConfigMap."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trainjobs.exits import ConfigError, user_error
from trainjobs.kube.resources import CONFIG_MAPS, Object

if TYPE_CHECKING:
    from trainjobs.api import TrainJob
    from trainjobs.api.sweep import TrainSweep

LARGEST: Final = 1_000_000
"""Bytes of code that a ConfigMap takes; Kubernetes allows 1 MiB with the names."""
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_KEPT: Final = ("name", "labels", "annotations")
"""What a person says of an object; the rest of its metadata is the API server's."""
_ELSEWHERE: Final = (
    "put the code into the image instead (docs/images.md), or name a ConfigMap in spec.trainer.code"
)


def packed(directory: Path) -> dict[str, str]:
    """The text of each Python file of a directory, by its name.

    Raises ConfigError where a ConfigMap could not hold them: packages in directories, other encodings, too much.
    """
    files: dict[str, str] = {}
    for path in sorted(directory.glob("*.py")):
        try:
            files[path.name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: is not UTF-8, so no ConfigMap holds it: {_ELSEWHERE}") from None
        except OSError as error:
            raise user_error(error, f"reading {path}") from error
        if not _KEY.fullmatch(path.name):
            raise ConfigError(
                f"{path}: a file's name in a ConfigMap is of letters, digits, '-', '_' and '.': rename it"
            )
    packages = [path.parent for path in directory.glob("*/__init__.py")] if files else []
    if packages:
        raise ConfigError(
            f"{packages[0]}: is a package, and a ConfigMap holds single files only: {_ELSEWHERE}"
        )
    size = sum(len(text.encode()) for text in files.values())
    if size > LARGEST:
        raise ConfigError(
            f"{directory}: {size:,} bytes of Python files, and a ConfigMap holds {LARGEST:,}: {_ELSEWHERE}"
        )
    return files


def code_map(name: str, files: Mapping[str, str]) -> Object:
    """A ConfigMap of these files, which never changes: other files have another name."""
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:10]
    return {"metadata": {"name": f"{name}-code-{digest}"}, "immutable": True, "data": dict(files)}


def is_same_code(known: Object, files: Object) -> bool:
    """Whether a ConfigMap of the API server holds these files and nothing else, and will."""
    return all(known.get(name) == files[name] for name in ("immutable", "data")) and not known.get(
        "binaryData"
    )


def files_of(name: str, code: Path | None) -> Object | None:
    """The ConfigMap of a directory's Python files for the object of this name; None: there are none."""
    files = packed(code) if code is not None else {}
    return code_map(name, files) if files else None


def manifest_of(job: TrainJob, code: Object | None, namespace: str) -> Object:
    """What the API server is to make; `code` is its ConfigMap."""
    written = _written(job, namespace)
    return {**written, "spec": _with_code(written["spec"], code)}


def sweep_manifest_of(sweep: TrainSweep, code: Object | None, namespace: str) -> Object:
    """The same of a TrainSweep, whose trials all have that code."""
    written = _written(sweep, namespace)
    template = written["spec"]["template"]
    template = {**template, "spec": _with_code(template["spec"], code)}
    return {**written, "spec": {**written["spec"], "template": template}}


def owned(item: Object, owner: Object) -> Object:
    """A ConfigMap that goes when its owner goes."""
    kind = {name: owner[name] for name in ("apiVersion", "kind")}
    reference = {**kind, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    metadata = {
        **item["metadata"],
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [reference],
    }
    return {"apiVersion": CONFIG_MAPS.api_version, "kind": CONFIG_MAPS.kind, **item, "metadata": metadata}


def _written(item: TrainJob | TrainSweep, namespace: str) -> Object:
    document: Object = item.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    metadata = {name: document["metadata"][name] for name in _KEPT if name in document["metadata"]}
    head = {"apiVersion": item.api_version, "kind": item.kind}
    return {**head, "metadata": {**metadata, "namespace": namespace}, "spec": document["spec"]}


def _with_code(spec: Object, code: Object | None) -> Object:
    if code is None:
        return spec
    return {**spec, "trainer": {**spec["trainer"], "code": {"configMap": code["metadata"]["name"]}}}
