"""A checkpoint as the document in its file: how it is made, and read back without running code.

Whatever is unexpected in it is damage: a file may be torn, or be none of ours.
"""

import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import IO, Any, get_type_hints

import torch

from trainjobs.exits import DataError, UserError
from trainjobs.runtime.checkpoint import readback
from trainjobs.runtime.checkpoint.contents import BestCheckpoint, Contents, Position
from trainjobs.stopping import Observation

FORMAT = 2
_KINDS: dict[type, tuple[type, ...]] = {int: (int,), bool: (bool,), float: (float, int), str: (str,)}


def packed(mine: Mapping[str, Any]) -> bytes:
    """What only one rank knows, on its way to rank 0."""
    buffer = io.BytesIO()
    torch.save(dict(mine), buffer)
    return buffer.getvalue()


def unpacked(piece: bytes, rank: int) -> dict[str, Any]:
    """What `packed` packed on that rank. Raises DataError if it held what cannot be read back."""
    try:
        mine: dict[str, Any] = torch.load(io.BytesIO(piece), weights_only=True)
    except Exception as error:
        raise DataError(
            f"rank {rank}: its state could not be read back: {readback.sentence(error)}"
        ) from error
    return mine


def states(contents: Contents) -> dict[str, Any]:
    return named(contents.objects) | {f"rank {rank}": state for rank, state in enumerate(contents.ranks)}


def named(objects: Mapping[str, Any]) -> dict[str, Any]:
    return {f"tracked object '{name}'": state for name, state in objects.items()}


def document_of(contents: Contents, best: BestCheckpoint | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "position": asdict(contents.position),
        "objects": dict(contents.objects),
        "ranks": [dict(rank) for rank in contents.ranks],
        "best": best and asdict(best),
    }


def check_bytes(file: IO[bytes]) -> None:
    """Compare the file's checksums, which torch writes but does not read. Raises ValueError or BadZipFile."""
    with zipfile.ZipFile(file) as archive:
        if (torn := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {torn} is wrong")
    file.seek(0)


def read(file: IO[bytes], device: torch.device | str) -> dict[str, Any]:
    document: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    return document


def contents_of(
    document: Mapping[str, Any], history: Callable[[Mapping[str, Any]], Sequence[Observation]]
) -> Contents:
    check_format(document["format"])
    best = document.get("best")
    return Contents(
        position=_record(Position, document["position"]),
        objects=of_kind(dict, document["objects"]),
        history=history(document),
        ranks=[of_kind(dict, rank) for rank in of_kind(list, document["ranks"])],
        best=None if best is None else _record(BestCheckpoint, best),
    )


def check_format(number: object) -> None:
    if type(number) is not int or number < 1:
        raise ValueError(f"its format is {number!r}")
    if number > FORMAT:
        raise DataError(
            f"a newer version of trainjobs wrote it (format {number}, this version reads 1 to {FORMAT})"
        )


def _record(kind: Any, document: Mapping[str, Any]) -> Any:
    """The dataclass `kind` of these fields, if they are of its types."""
    record = kind(**document)
    for name, declared in get_type_hints(kind).items():
        of_kind(_KINDS[declared], getattr(record, name))
    return record


def of_kind(kind: type | tuple[type, ...], value: Any) -> Any:
    if type(value) not in (kind if isinstance(kind, tuple) else (kind,)):
        raise TypeError(f"it holds a {type(value).__name__} where none can be")
    return value


@contextmanager
def understood(uri: str) -> Iterator[None]:
    """Whatever a parser trips over is damage; the storage speaks of its own trouble by itself."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{uri}: {error}") from error
    except UserError:
        raise
    except Exception as error:
        raise DataError(f"{uri} is damaged: {readback.sentence(error)}") from error


@contextmanager
def checksums() -> Iterator[None]:
    """Write them even where the user's code turned them off for its own files."""
    wanted = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(True)
    try:
        yield
    finally:
        torch.serialization.set_crc32_options(wanted)
