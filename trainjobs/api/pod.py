"""The parts of a TrainJob that become parts of a pod; shaped as Kubernetes shapes them."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, WithJsonSchema, model_validator

from trainjobs.api.base import Choice, Form, HowMany, Model, refuse
from trainjobs.api.metadata import ObjectName
from trainjobs.api.pod_rules import refused_in

_QUANTITY = r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE])?"
_SLOW: Final = re.compile(r"[+-]?[0-9.]+[eE][+-]?[0-9]{3,}")
"""Kubernetes works out all digits of a quantity: 1e99999999 keeps its API server busy for minutes."""
_WITH_QUANTITIES: Final = ("limits", "requests", "overhead", "sizeLimit", "divisor")
"""Fields of a pod's spec that are quantities, or hold some."""


def _quantity_as_text(value: Any) -> Any:
    """Kubernetes writes a quantity as a whole number or as text; here it is always text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Image = Annotated[
    str,
    Field(max_length=1024),
    Form(r"[^\s]+", "an image reference without blanks, such as registry.example/train:1.2"),
]
VariableName = Annotated[
    str,
    Field(max_length=253),
    Form(r"[A-Za-z_.-][A-Za-z0-9_.-]*", "letters, digits, '_', '-' and '.', not beginning with a digit"),
]
Quantity = Annotated[
    str,
    Field(max_length=64),
    Form(_QUANTITY, 'a quantity, such as 1, "500m" or "2Gi"'),
    BeforeValidator(_quantity_as_text),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "maxLength": 64,
            "pattern": f"^({_QUANTITY})$",
            "x-kubernetes-int-or-string": True,
        }
    ),
]
LONGEST_FREE: Final = 262_144
"""Characters of JSON that a free-form part may have. No schema can bound them: the operator says it of a TrainJob."""


def _short_enough(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if (length := len(json.dumps(value))) > LONGEST_FREE:
        bound = f"must have at most {LONGEST_FREE:,} characters as JSON, has {length:,}"
        raise ValueError(f"{bound}: keep data in files, not in a manifest")
    return value


def _quickly_read(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for path, text in _quantities(value):
        if _SLOW.fullmatch(text):
            raise ValueError(f"{path}: {text[:40]}: must have an exponent of at most two digits")
    return value


def _quantities(value: JsonValue) -> Iterator[tuple[str, str]]:
    """Texts that Kubernetes may read as quantities, each with its path."""
    left: list[tuple[str, JsonValue, bool]] = [("", value, False)]
    while left:
        path, part, are_quantities = left.pop()
        if isinstance(part, dict):
            left += [
                (f"{path}.{name}".lstrip("."), below, are_quantities or name in _WITH_QUANTITIES)
                for name, below in part.items()
            ]
        elif isinstance(part, list):
            left += [(f"{path}[{i}]", below, are_quantities) for i, below in enumerate(part)]
        elif are_quantities and isinstance(part, str):
            yield path, part


FreeForm = Annotated[dict[str, JsonValue], Field(max_length=1024), AfterValidator(_short_enough)]
"""A mapping that others read: its names and its size are bounded, and its depth by that of a document."""
Annotations: TypeAlias = Annotated[dict[str, Annotated[str, Field(max_length=32768)]], Field(max_length=64)]
_FREE: Final[dict[str, Any]] = {"x-kubernetes-preserve-unknown-fields": True}
_SOURCES: Final = ("secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef")
ValueFrom = Annotated[
    dict[str, JsonValue],
    # The usual sources by name: an expression can then see whether the field is there, and compare it.
    WithJsonSchema(
        {
            "type": "object",
            "properties": {name: {"type": "object", "additionalProperties": _FREE} for name in _SOURCES},
            **_FREE,
        }
    ),
    AfterValidator(_quickly_read),
]
Quantities: TypeAlias = Annotated[dict[str, Quantity], Field(max_length=32)]


class EnvironmentVariable(Model):
    """One environment variable of the training processes: a value, or where the cluster finds it."""

    example: ClassVar[str] = '{name: LEVEL, value: "3"}'
    choice: ClassVar[Choice] = Choice(HowMany.AT_MOST_ONE, of=("value", "value_from"))

    name: VariableName
    """Name of the variable; each name once."""
    value: Annotated[str, Field(max_length=32768)] | None = None
    """Its value, always text: quote numbers and booleans. Unset, without `valueFrom`: empty."""
    value_from: ValueFrom | None = None
    """Where the cluster takes the value from, as in a container's `env`: `secretKeyRef`, `configMapKeyRef`,
    `fieldRef` or `resourceFieldRef`. On one machine the caller's environment has to hold such a variable."""


class Resources(Model):
    """What each node's pod requests and may use, as in a container's `resources`."""

    example: ClassVar[str] = "{limits: {memory: 8Gi}}"

    limits: Quantities = Field(default_factory=dict)
    """Most that a pod may use, such as `nvidia.com/gpu: 1` or `memory: 8Gi`; its processes share it."""
    requests: Quantities = Field(default_factory=dict)
    """What the scheduler sets aside for a pod. Unset names: the same as in `limits`."""

    @property
    def gpus(self) -> int:
        """GPUs of a node, of any maker: the limits called `<maker>/gpu`."""
        counts = (count for name, count in self.limits.items() if name.endswith("/gpu"))
        return sum(int(count) for count in counts if count.isdecimal())


class Code(Model):
    """Where the cluster finds the training code, when it is not in the image."""

    example: ClassVar[str] = "{configMap: train-code}"

    config_map: ObjectName
    """Name of a ConfigMap of Python files, mounted and put first on the import path of every process."""


class PodMetadata(Model):
    """Labels and annotations that the pods get besides their own."""

    example: ClassVar[str] = "{labels: {team: vision}}"

    labels: Annotated[dict[str, str], Field(max_length=64)] = Field(default_factory=dict)
    """Labels added to every pod."""
    annotations: Annotations = Field(default_factory=dict)
    """Annotations added to every pod."""


class PodTemplate(Model):
    """What is merged into every pod: Kubernetes' PodTemplateSpec, for what has no field of its own here."""

    example: ClassVar[str] = "{spec: {nodeSelector: {disk: ssd}}}"

    metadata: PodMetadata = PodMetadata()
    """Labels and annotations added to every pod."""
    spec: Annotated[FreeForm, AfterValidator(_quickly_read)] = Field(default_factory=dict)
    """Fields of a pod's spec, such as volumes, nodeSelector, tolerations; named list items merge by name."""

    @model_validator(mode="after")
    def _fits_a_run(self) -> Self:
        refuse((("spec", *at), value, rule) for at, value, rule in refused_in(self.spec))
        return self
