"""The `trainjobs` command in processes that are forked from one which has imported it: a command takes milliseconds.

`python commands.py` is that process: it reads orders, one a line of JSON, and answers each with an exit code.
"""

import json
import os
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

PRELOADED = ("run", "explain", "replay", "validate")


@dataclass(frozen=True)
class Done:
    """What there is to know of a command that has ended."""

    returncode: int
    stdout: str
    stderr: str


class Commands:
    """Between `with` and its end commands can be given; `place` is an empty directory for what they write."""

    def __init__(self, place: Path):
        self._place = place

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_):
        self._process.communicate()

    def __call__(self, *arguments, stdin="", **environment):
        """Run `trainjobs` with these arguments, in this process's directory, with a pipe that holds `stdin`."""
        out, err = (self._place / name for name in ("stdout", "stderr"))
        order = {
            "arguments": arguments,
            "environment": {**os.environ, **environment},
            "directory": str(Path.cwd()),
            "input": stdin,
            "written": [str(out), str(err)],
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Done(code, out.read_text(), err.read_text())


def serve():
    from importlib import import_module

    for name in PRELOADED:
        import_module(f"trainjobs.cli.{name}")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(lived(json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def lived(order):
    """The exit code of the command, which has this process for itself."""
    from trainjobs.cli import main

    os.chdir(order["directory"])
    os.environ.clear()
    os.environ.update(order["environment"])
    read, write = os.pipe()
    os.write(write, order["input"].encode())
    os.close(write)
    os.dup2(read, 0)
    for number, name in enumerate(order["written"], 1):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: SIM115, PTH123
    sys.argv = ["trainjobs", *order["arguments"]]
    try:
        main()
    except SystemExit as end:
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    serve()
