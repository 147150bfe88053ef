"""A program in a real terminal of a given size: what a person sees there, as tmux draws it."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from processes import until

TMUX = shutil.which("tmux")
_ENDED = re.compile(r"^ended with (\d+)$", re.MULTILINE)


class Screen:
    """Between `with` and its end the program runs, at the latest until then; the screen outlives its end.

    Args:
        scratch: a directory for the server's socket and settings.
        command: of the program, as a list.
    """

    def __init__(self, scratch, columns, command, cwd, environment):
        self.columns = columns
        # a server that is told to go may be at its socket for a moment
        scratch = Path(tempfile.mkdtemp(dir=scratch))
        settings = scratch / "tmux.conf"
        settings.write_text("set -g remain-on-exit on\nset -g status off\n")
        self._tmux = [TMUX, "-u", "-S", scratch / "tmux", "-f", settings]
        variables = [f"{name}={value}" for name, value in environment.items()]
        new = ["new-session", "-d", "-x", columns, "-y", 50, "-c", cwd, "env", *variables]
        self._said(*new, "sh", "-c", '"$@"; echo "ended with $?"', "sh", *command)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._said("kill-server")

    def text(self, *, joined=False):
        """All lines so far, and how the program has ended. `joined`: what the terminal has broken is whole again."""
        said = self._said("capture-pane", "-p", "-S", "-", *(["-J"] if joined else []))
        return "\n".join(line.rstrip() for line in said.rstrip().splitlines())

    def await_text(self, awaited):
        until(lambda: awaited in self.text() or self._ended())
        assert awaited in (text := self.text()), text

    def exit_code(self):
        """Of the program, once it has ended."""
        until(self._ended)
        return int(_ENDED.search(self.text())[1])

    def _ended(self):
        return _ENDED.search(self.text())

    def _said(self, *command):
        done = subprocess.run(
            [*self._tmux, *map(str, command)], check=True, capture_output=True, text=True, timeout=60
        )
        return done.stdout
