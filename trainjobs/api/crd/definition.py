"""The CustomResourceDefinition of TrainJob: `python -m trainjobs.api.crd.definition` prints it as YAML.

`make generate` writes it into the manifests; a test fails when the file there is another.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import yaml

from trainjobs.api.crd.openapi import Schema, structural
from trainjobs.api.metadata import Metadata
from trainjobs.api.trainjob import API_VERSION, TrainJob

GROUP, _, VERSION = API_VERSION.partition("/")

_HEADER: Final = (
    "# Generated from the types in trainjobs/api by `make generate`; change them, not this file.\n"
)

_LINE: Final = 300
"""Longest mapping or list, in characters, that is written on one line."""

COLUMNS: Final = (
    ("State", "string", ".status.conditions[0].reason", "What it is doing, or how it ended."),
    ("Epoch", "integer", ".status.training.epoch", "Finished epochs."),
    ("Metric", "string", ".status.training.best.value", "Best value of stopping.monitor."),
    ("Stopped By", "string", ".status.stopping.criterion", "Criterion that stopped the run."),
    (
        "Saved GPU h",
        "number",
        ".status.accounting.gpuHoursSaved",
        "Estimate of GPU hours saved against maxEpochs or maxSteps.",
    ),
    ("Age", "date", ".metadata.creationTimestamp", "Time since its creation."),
)
"""What `kubectl get` shows: name, type, path and description. The operator keeps the condition that says most
about the state first in the list."""


def definition() -> dict[str, Any]:
    """The CustomResourceDefinition as plain values."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # When the chart's release goes, Helm leaves it there, and so all TrainJobs.
        "metadata": {"name": f"trainjobs.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": "TrainJob",
                "listKind": "TrainJobList",
                "plural": "trainjobs",
                "singular": "trainjob",
                "shortNames": ["tjob"],
                "categories": ["trainjobs"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": name, "type": kind, "jsonPath": path, "description": description}
                        for name, kind, path, description in COLUMNS
                    ],
                    "schema": {"openAPIV3Schema": _root()},
                }
            ],
        },
    }


def text() -> str:
    """The CustomResourceDefinition as the YAML file that is in the manifests."""
    body: str = yaml.dump(
        definition(),
        Dumper=_DefinitionDumper,
        sort_keys=False,
        default_flow_style=False,
        width=1000,
        allow_unicode=True,
    )
    return _HEADER + body


class _DefinitionDumper(yaml.SafeDumper):
    """Block style down to what fits on a line: criteria nest so deep that indentation would be half the file."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def mapping(self, data: dict[str, Any]) -> yaml.MappingNode:
        return self.represent_mapping("tag:yaml.org,2002:map", data, flow_style=len(str(data)) < _LINE)

    def sequence(self, data: list[Any]) -> yaml.SequenceNode:
        return self.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=len(str(data)) < _LINE)


_DefinitionDumper.add_representer(dict, _DefinitionDumper.mapping)
_DefinitionDumper.add_representer(list, _DefinitionDumper.sequence)


def _root() -> Schema:
    """The whole object. Of its metadata a schema may restrict the name alone; the rest is Kubernetes' own."""
    root = structural(TrainJob)
    name = structural(Metadata)["properties"]["name"]
    for field in ("apiVersion", "kind"):
        root["properties"][field] = {
            "type": "string",
            "description": root["properties"][field]["description"],
        }
    root["properties"]["metadata"] = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": name["maxLength"]}},
    }
    root["required"] = ["spec"]
    return root


if __name__ == "__main__":
    sys.stdout.write(text())
