"""A connection to Ray that leaves signals and the terminal to this process."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


def connect(*address: str, **options: Any) -> None:
    """`ray.init`, after which a signal is ours to handle and no line of Ray's own is printed.

    What a raylet has to say, for example of a worker that died, is in the logs of Ray's session; the run tells the
    cause in its own words.
    """
    import ray
    from ray._private import worker

    with _own_signal_handlers(), patch.object(worker, "listen_error_messages", lambda *_: None):
        ray.init(*address, logging_level=logging.ERROR, log_to_driver=False, **options)


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """`ray.init` makes SIGTERM an immediate exit; here it is a request to halt."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
