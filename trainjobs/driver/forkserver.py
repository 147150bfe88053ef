"""A process that has imported what ranks need, once, and forks them: each is there in some ten milliseconds.

`ForkServer` is its owner's side, and imports little but the standard library, so that it can be started before
anything else is; `serve` is what the process does. It forks one team of ranks at a time, ends the others when one
fails, and all of them when its owner is gone. On Linux whatever ranks have started ends with them, also what has left
their process groups. It runs no thread and never touches a GPU, which no fork would survive.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import NoReturn, cast

from trainjobs.runs.share import Share

PRELOAD = ("torch", "torch._dynamo", "torch.nn.parallel", "trainjobs.runtime.local_rank")
"""`torch._dynamo` is imported by the first optimizer of every process, and takes longer than torch itself."""

SETTINGS = {
    "RES_OPTIONS": "timeout:1 attempts:5",  # TCPStore looks its peers' names up; an unanswered query takes 5 s else
}
"""Environment variables of the ranks; what the user has set stays."""

GONE = (EOFError, OSError)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LAST_WORDS_BYTES = 4096


class ServerLost(Exception):
    """The server has ended. One clause, such as "was killed by SIGKILL"."""


class ForkServer:
    """Owns the process, from `start` to `close`; after that it can be started again.

    Args:
        modules: what it imports. The last one has `train_rank`, which each rank calls. Those that are not in
            `PRELOAD` are left to the ranks when they reach for CUDA, which no forked process could use then.
        variables: of the environment, while those are imported; ranks set their own.
    """

    def __init__(self, modules: Sequence[str] = PRELOAD, variables: Mapping[str, str] | None = None) -> None:
        self._modules = list(modules)
        self._variables = dict(variables or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._one_team = threading.Lock()

    def start(self) -> None:
        """Begin to import, unless it is up; returns at once."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._socket, theirs = socket.socketpair()
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and our own module
                _command(theirs.fileno(), os.getpid(), self._modules, self._variables),
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=self._words,
                pass_fds=[theirs.fileno()],
                env={**SETTINGS, **os.environ},
                start_new_session=True,  # a terminal's Ctrl-C is the owner's alone
            )
        self._connection = Connection(os.dup(self._socket.fileno()))
        self._ready = False

    def wait(self) -> None:
        """Until everything is imported. Raises ServerLost."""
        if not self._ready:
            self._receive()
            self._ready = True

    def train(
        self, share: Share, setup: object, listening: Callable[[int], object] = lambda port: None
    ) -> Mapping[int, int]:
        """Fork these ranks, give `setup` to each, and wait for their ends.

        Args:
            listening: called with the port at which rank 0's store listens, if rank 0 is among these.

        Returns:
            The exit codes, minus the signal's number when killed, of ranks that ended by themselves before
            `train_rank` had returned: 0 of a program that has called `os._exit(0)`.

        Raises:
            ServerLost: it has ended, and the ranks with it.
        """
        with self._one_team:
            self.start()
            self.wait()
            with suppress(OSError):
                self._connection.send((share, setup))
            listening(cast("int", self._receive()))
            return cast("Mapping[int, int]", self._receive())

    def end_team(self) -> None:
        """End the ranks that are there."""
        if self._ready:
            with suppress(OSError):
                self._connection.send(None)

    def last_words(self) -> str:
        """The last line that the server or a rank has written while nobody listened; empty without any."""
        end = os.fstat(self._words.fileno()).st_size
        data = os.pread(self._words.fileno(), _LAST_WORDS_BYTES, max(0, end - _LAST_WORDS_BYTES))
        lines = data.decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """End the process and all ranks."""
        if self._process is None:
            return
        imports = not self._ready  # asked first: a thread that reads here notices the end, and says it is not
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # unlike a close, a thread that reads here notices it
        if imports:
            self._process.kill()  # it does not listen yet; once it does, it ends what its ranks have left
        self._process.wait()
        for end in (self._socket, self._connection, self._words):
            end.close()
        self._process = None

    def _receive(self) -> object:
        process = cast("subprocess.Popen[bytes]", self._process)
        try:
            return self._connection.recv()
        except GONE:
            self._ready = False
            code = process.wait()
            _end_session(process.pid)
            raise ServerLost(ending(code)) from None


def _end_session(leader: int) -> None:
    """End what a server that was killed has left: its ranks end with it, what those had started does not."""
    import psutil  # here: a command that needs nothing of it starts sooner

    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == leader:
                os.kill(pid, signal.SIGKILL)


def ending(exit_code: int) -> str:
    """How a process ended, as a clause."""
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


# --- the process itself -----------------------------------------------------------------------------------------------


def _command(descriptor: int, owner: int, modules: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    program = (
        f"import sys; sys.path[:] = {sys.path!r}; from trainjobs.driver.forkserver import serve; "
        f"serve({descriptor}, {owner}, {list(modules)!r}, {dict(variables)!r})"
    )
    return [sys.executable, "-c", program]


def serve(descriptor: int, owner: int, modules: Sequence[str], variables: Mapping[str, str]) -> None:
    """Import, then fork teams until the owner hangs up.

    Args:
        descriptor: of the socket to the owner.
        owner: its process id.
        modules: see `ForkServer`.
        variables: see `ForkServer`.
    """
    _end_with(owner, signal.SIGTERM)
    _adopt_orphans()
    ours = [module for module in modules if module in PRELOAD or module == modules[-1]]
    for module in modules:
        with _environment({} if module in ours else variables):
            importlib.import_module(module)
    if len(modules) > len(ours) and _forks_are_barred_from_cuda():
        os.execv(sys.executable, _command(descriptor, owner, ours, {}))  # noqa: S606 - this Python, anew
    _end_with(0, 0)  # from here on its ranks must be ended first, which the end of the socket brings about
    gc.collect()
    gc.freeze()  # a rank's collector would touch, and so copy, every page
    with suppress(*GONE), Connection(descriptor) as connection:
        connection.send(None)
        while True:
            if (order := connection.recv()) is not None:
                connection.send(Team(connection, modules[-1], *order).failures())
    os._exit(0)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """With these variables, which are as before afterwards; what is set meanwhile stays."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    yield
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


def _forks_are_barred_from_cuda() -> bool:
    """Whether something here has reached for CUDA: torch lets no process use a GPU that is forked afterwards."""
    import torch

    if (pid := os.fork()) == 0:
        os._exit(int(torch.cuda._is_in_bad_fork()))
    return os.waitpid(pid, 0)[1] != 0


class Team:
    """Ranks that live and die together."""

    def __init__(self, owner: Connection, module: str, share: Share, setup: object) -> None:
        self._owner = owner
        self._train_rank = importlib.import_module(module).train_rank
        self._setup = setup
        self._done = mmap.mmap(
            -1, share.count
        )  # shared: a rank whose `train_rank` has returned writes its byte
        self._noticed, self._woken = os.pipe()
        for end in (self._noticed, self._woken):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # without a handler nothing is written to the pipe
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        with _listener(share) as listener:
            self._share = share if listener is None else replace(share, port=listener.getsockname()[1])
            owner.send(self._share.port)
            self._running = {self._fork(rank, listener): rank for rank in share.ranks}

    def failures(self) -> dict[int, int]:
        """Wait for all. The exit codes of those that were not done and had ended before any was ended from here."""
        failed: dict[int, int] = {}
        try:
            while self._running:
                if self._owner in wait([self._owner, self._noticed]):
                    self._kill()
                    self._owner.recv()
                with suppress(BlockingIOError):
                    os.read(self._noticed, 4096)
                early = {
                    rank: code for rank, code in self._reap().items() if not self._done[self._byte(rank)]
                }
                if early and not failed:
                    failed = early
                    self._kill()
        finally:
            self._leave()
            self._kill()
            for pid in self._running:
                os.waitpid(pid, 0)
            _end_orphans()
        return failed

    def _byte(self, rank: int) -> int:
        return rank - self._share.first

    def _fork(self, rank: int, listener: socket.socket | None) -> int:
        server = os.getpid()
        if (pid := os.fork()) == 0:
            self._live(server, rank, listener)
        with suppress(OSError):  # the rank does so too: whoever comes first
            os.setpgid(pid, pid)
        return pid

    def _live(self, server: int, rank: int, listener: socket.socket | None) -> NoReturn:
        """A rank's life, in its own process."""
        code = 1
        try:
            os.setpgid(0, 0)
            _end_with(server, signal.SIGKILL)
            self._leave()
            self._owner.close()
            self._train_rank(self._setup, rank, self._share, listener)
            self._done[self._byte(rank)] = 1
            code = 0
        except BaseException:
            with suppress(BaseException):  # what a user raises may raise again
                traceback.print_exc()
        _exit(code)

    def _reap(self) -> dict[int, int]:
        """The exit codes of those that have ended since; what they have left behind is ended."""
        ended = {}
        for pid, status in iter(_next_ended, None):
            if pid in self._running:
                _kill_group(pid)
                ended[self._running.pop(pid)] = os.waitstatus_to_exitcode(status)
        return ended

    def _kill(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)  # it may have left its group
            _kill_group(pid)

    def _leave(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._noticed)
        os.close(self._woken)


def _listener(share: Share) -> AbstractContextManager[socket.socket | None]:
    """Where rank 0's store will listen, if rank 0 is among these: open before any is forked, so that no port is taken
    away."""
    if share.port:
        return nullcontext()
    return socket.create_server((share.host, 0), backlog=share.world_size)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS: nobody is left in it but who has ended
        os.killpg(pid, signal.SIGKILL)


def _next_ended() -> tuple[int, int] | None:
    """A child that has ended and its status; None when none has since."""
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent has ended. Where not Linux: nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _end_orphans() -> None:
    """End what ranks that have ended have left behind: orphans first, then what they leave in turn."""
    import psutil  # here: the owner's side does without

    while orphans := psutil.Process().children() if _has_child() else ():
        for orphan in orphans:
            with suppress(psutil.NoSuchProcess):
                orphan.kill()
            with suppress(ChildProcessError):
                os.waitpid(orphan.pid, 0)


def _has_child() -> bool:
    with suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    return False


def _exit(code: int) -> NoReturn:
    """End a forked process as Python ends, but without freeing what it shares with others."""
    with suppress(BaseException):
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _end_with(parent: int, number: int) -> None:
    """Have this process sent a signal when its parent ends, or no more with 0. Where not Linux: nothing."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
    if parent and os.getppid() != parent:  # it has ended already
        os._exit(1)
