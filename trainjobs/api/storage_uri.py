"""Where checkpoints go, as a path or URI: the storage, and each run's folder in it."""

from __future__ import annotations

from trainjobs.api.trainjob import TrainJob


def storage_root(job: TrainJob, claim: str = "") -> str:
    """The storage that the runs of this manifest share; empty: there is none.

    Args:
        claim: directory at which `claimName` is mounted. Empty: it is not, as on one machine.
    """
    storage = job.spec.checkpoint.storage
    return (storage.uri or claim) if storage is not None else ""


def below(uri: str, folder: str) -> str:
    """A run's own folder in a storage; how to reach that (`s3://bucket/runs?region=…`) stays at the URI's end.
    Empty where there is no storage."""
    place, mark, way = uri.partition("?") if "://" in uri else (uri, "", "")
    return f"{place.rstrip('/')}/{folder}{mark}{way}" if uri else ""
