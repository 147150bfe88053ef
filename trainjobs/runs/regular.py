"""Regular files: whoever opens a pipe or a device by the name of a file waits for ever, or reads without an end."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from trainjobs.exits import DataError


def opened(path: Path) -> BinaryIO:
    """The file at `path`, for reading. Raises DataError at once for what is no file, and OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        require(descriptor, path)
    except DataError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def require(descriptor: int, path: Path) -> None:
    """Raises DataError unless what is open is a file."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise DataError(f"{path}: damaged, it is not a file")
