"""What every Kubernetes object says about itself, and the forms that names of objects have."""

from typing import Annotated, ClassVar

from pydantic import Field, JsonValue

from trainjobs.api.base import Form, Model

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_ENDS = "beginning and ending with a letter or digit"

JobName = Annotated[
    str,
    Field(max_length=52),
    Form(
        r"[a-z]([-a-z0-9]*[a-z0-9])?",
        "lower-case letters, digits and '-', beginning with a letter and not ending in '-', such as mnist-2",
    ),
]
Namespace = Annotated[str, Field(max_length=63), Form(_LABEL, f"lower-case letters, digits and '-', {_ENDS}")]
ObjectName = Annotated[
    str,
    Field(max_length=253),
    Form(rf"{_LABEL}(\.{_LABEL})*", f"lower-case letters, digits, '-' and '.', {_ENDS}"),
]


class Metadata(Model):
    """Name and labels, as every Kubernetes object has them; the other fields belong to the cluster."""

    example: ClassVar[str] = "{name: mnist}"

    name: JobName
    """Name of the TrainJob, unique in its namespace and the name of its run directory. At most 52 characters,
    since pods and their host names add an index and a random suffix and may have 63; begins with a letter,
    since a Service is named after it."""
    namespace: Namespace | None = None
    """Namespace of the TrainJob. Unset: the current one of whoever applies it. Unused on one machine."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the TrainJob; those of `kueue.x-k8s.io` are copied to its Job, of more than 64 the first."""
    annotations: dict[str, str] = Field(default_factory=dict)
    """Annotations of the TrainJob; nothing here reads them."""
    uid: str | None = None
    """Identity of this object, set by the API server: a later object of the same name has another."""
    generation: Annotated[int, Field(strict=True)] | None = None
    """Number of the latest change to the spec, counted by the API server."""
    resource_version: str | None = None
    """Version of the whole object, set by the API server."""
    creation_timestamp: str | None = None
    """When the API server created the object, RFC 3339."""
    deletion_timestamp: str | None = None
    """When somebody asked for its deletion, RFC 3339. Unset: nobody did."""
    deletion_grace_period_seconds: Annotated[int, Field(strict=True)] | None = None
    """Seconds between the request for deletion and the deletion, set by the API server."""
    generate_name: str | None = None
    """Prefix from which the API server made the name. Unset: the name was given."""
    owner_references: tuple[JsonValue, ...] = ()
    """Objects that own this one, such as a TrainSweep."""
    finalizers: tuple[str, ...] = ()
    """Keys that delay the deletion; TrainJobs adds none."""
    managed_fields: tuple[JsonValue, ...] = ()
    """Who set which field, kept by the API server."""
    self_link: str | None = None
    """Not set by API servers since Kubernetes 1.20."""
