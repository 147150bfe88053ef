"""The one rank of a run in the main thread of the driver's own process, for debuggers, profilers and whoever sits at
the terminal; the driver is in a thread beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from typing import Self, TypeVar

from trainjobs.driver.forkserver import SETTINGS
from trainjobs.driver.launcher import Group
from trainjobs.runs.attempt import Setup

T = TypeVar("T")


class InlineWorkers:
    """Hands the rank that a driver starts over to the thread that has called `beside`."""

    nodes = 1
    host = "127.0.0.1"
    restarts = False

    def __init__(self) -> None:
        self._groups: SimpleQueue[InlineGroup | None] = SimpleQueue()

    def beside(self, drive: Callable[[], T]) -> T:
        """Call `drive` in a thread, train what it starts in this one, and give back what it gives back."""
        driving: Future[T] = Future()

        def work() -> None:
            try:
                driving.set_result(drive())
            except BaseException as error:
                driving.set_exception(error)
            finally:
                self._groups.put(None)

        threading.Thread(target=work, name="driver", daemon=True).start()
        while (group := self._groups.get()) is not None:
            group.train()
        return driving.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def lost(self) -> str:
        """See `Workers.lost`: this process is here."""
        return ""

    def start(self, setup: Setup, directory: Path) -> Group:
        """See `Workers.start`; it needs no files."""
        group = InlineGroup(setup)
        self._groups.put(group)
        return group


class InlineGroup:
    """The one rank of the one attempt."""

    deaths: Mapping[int, str] = {}

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._ended = threading.Event()
        self.error: BaseException | None = None

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def train(self) -> None:
        """Train it in this thread, to its end."""
        os.environ.update({**SETTINGS, **os.environ})
        try:
            from trainjobs.runtime.local_rank import train_in_foreground

            train_in_foreground(self._setup)
        except BaseException as error:  # the rank has told its own to the driver
            self.error = error
        finally:
            self._ended.set()
