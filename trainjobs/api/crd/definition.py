"""The CustomResourceDefinitions: `python -m trainjobs.api.crd.definition trainsweeps` prints one as YAML; without a
word that of TrainJob.

`make generate` writes them into the manifests; a test fails when a file there is another.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Final

import yaml

from trainjobs.api.crd.openapi import Schema, structural
from trainjobs.api.kinds import API_VERSION
from trainjobs.api.metadata import Metadata
from trainjobs.api.sweep import TrainSweep
from trainjobs.api.trainjob import TrainJob

GROUP, _, VERSION = API_VERSION.partition("/")

_HEADER: Final = (
    "# Generated from the types in trainjobs/api by `make generate`; change them, not this file.\n"
)

_LINE: Final = 300
"""Longest mapping or list, in characters, that is written on one line."""

Column = tuple[str, str, str, str]
"""What `kubectl get` shows: name, type, path and description."""

_STATE: Final[Column] = (
    "State",
    "string",
    ".status.conditions[0].reason",
    "What it is doing, or how it ended.",
)
"""The operator keeps the condition that says most about the state first in the list."""
_AGE: Final[Column] = ("Age", "date", ".metadata.creationTimestamp", "Time since its creation.")


@dataclass(frozen=True, slots=True)
class CustomKind:
    """One of the kinds that the cluster stores."""

    model: type[TrainJob] | type[TrainSweep]
    plural: str
    short: str
    columns: tuple[Column, ...]


KINDS: Final = (
    CustomKind(
        TrainJob,
        "trainjobs",
        "tjob",
        (
            _STATE,
            ("Epoch", "integer", ".status.training.epoch", "Finished epochs."),
            ("Metric", "string", ".status.training.best.value", "Best value of stopping.monitor."),
            ("Stopped By", "string", ".status.stopping.criterion", "Criterion that stopped the run."),
            (
                "Saved GPU h",
                "number",
                ".status.accounting.gpuHoursSaved",
                "Estimate of GPU hours saved against maxEpochs or maxSteps.",
            ),
            _AGE,
        ),
    ),
    CustomKind(
        TrainSweep,
        "trainsweeps",
        "tsweep",
        (
            _STATE,
            ("Trials", "integer", ".status.trials.total", "Trials that it is to have."),
            ("Ended", "integer", ".status.trials.ended", "Trials that are over."),
            ("Pruned", "integer", ".status.trials.pruned", "Those that others did better than."),
            ("Best", "string", ".status.best.trial", "Trial with the best objective."),
            ("Objective", "string", ".status.best.objective", "Its value."),
            _AGE,
        ),
    ),
)


def definition(kind: CustomKind = KINDS[0]) -> dict[str, Any]:
    """The CustomResourceDefinition as plain values."""
    name = kind.model.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # When the chart's release goes, Helm leaves it there, and so all objects of the kind.
        "metadata": {"name": f"{kind.plural}.{GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": kind.plural,
                "singular": name.casefold(),
                "shortNames": [kind.short],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": column, "type": form, "jsonPath": path, "description": description}
                        for column, form, path, description in kind.columns
                    ],
                    "schema": {"openAPIV3Schema": _root(kind)},
                }
            ],
        },
    }


def text(kind: CustomKind = KINDS[0]) -> str:
    """The CustomResourceDefinition as the YAML file that is in the manifests."""
    body: str = yaml.dump(
        definition(kind),
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


def _root(kind: CustomKind) -> Schema:
    """The whole object. Of its metadata a schema may restrict the name alone; the rest is Kubernetes' own."""
    root = structural(kind.model)
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
    _asked = sys.argv[1:] or [KINDS[0].plural]
    sys.stdout.writelines(text(_kind) for _kind in KINDS if _kind.plural in _asked)
