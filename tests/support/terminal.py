"""A program at a terminal of its own: what a person would type and read there."""

import fcntl
import os
import pty
import subprocess
import termios
import time
from contextlib import suppress
from select import select

import psutil
from processes import PATIENCE_S, until

CTRL_C = "\x03"


class Terminal:
    """Between `with` and its end the program runs; what it has written so far is in `text`."""

    def __init__(self, command, **options):
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (50, 200))
        self.text = ""
        self._read = 0
        self._process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - Ctrl-C is a signal there
            **options,
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def type(self, text):
        os.write(self._ours, text.encode())

    def interrupt_at_prompt(self):
        """Ctrl-C once the program waits for a line: between the prompt and that, Python hears no signal until the next
        key (`PyOS_StdioReadline`). It waits when nothing wakes it for 0.5 s; who waits for the GIL wakes every 5 ms."""
        program = psutil.Process(self._process.pid)

        def is_idle():
            woken = program.num_ctx_switches()
            time.sleep(0.5)
            return program.status() == psutil.STATUS_SLEEPING and program.num_ctx_switches() == woken

        until(is_idle)
        self.type(CTRL_C)

    def read_until(self, awaited):
        """What comes up to and with `awaited`."""
        while (found := self.text.find(awaited, self._read)) < 0:
            piece = self._piece()
            assert piece, f"{awaited!r} does not come; {self.text[self._read :]}"
        begin, self._read = self._read, found + len(awaited)
        return self.text[begin : self._read]

    def exit_code(self):
        """Of the program, once it has ended."""
        while self._piece():
            pass
        return self._process.wait(PATIENCE_S)

    def _piece(self):
        """What is there; nothing when the program has ended. On Linux a terminal without one cannot be read."""
        assert select([self._ours], [], [], PATIENCE_S)[0], self.text
        data = b""
        with suppress(OSError):
            data = os.read(self._ours, 4096)
        self.text += data.decode().replace("\r\n", "\n")
        return data
