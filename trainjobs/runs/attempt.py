"""What the driver gives to the workers of an attempt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from trainjobs.api import TrainJobSpec
from trainjobs.runs.channel import Address


@dataclass(frozen=True, slots=True)
class Setup:
    """What the driver gives to every worker of an attempt: plain data, for it crosses to other processes."""

    manifest: str
    """The TrainJob's spec, as `written` makes it."""
    code: Path
    """Directory searched for the entrypoint's module first."""
    storage_uri: str
    address: Address
    attempt: int
    launched: float
    """Unix time at which the driver began this attempt."""
    lost_timeout_s: float = 60.0

    @property
    def spec(self) -> TrainJobSpec:
        """The spec, read anew in each process."""
        return _read(self.manifest)


def written(spec: TrainJobSpec) -> str:
    """A spec as JSON text. A type of pydantic does not survive every way into another process; text does."""
    return spec.model_dump_json(by_alias=True, exclude_unset=True)


@lru_cache(maxsize=1)
def _read(manifest: str) -> TrainJobSpec:
    return TrainJobSpec.model_validate_json(manifest)
