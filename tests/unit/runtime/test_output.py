"""What a program writes arrives line by line, whoever of it writes and however."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from trainjobs.runtime.user_code import output
from trainjobs.runtime.user_code.output import LONGEST_LINE, Lines, captured

FRAME = """
import json, os, sys
from trainjobs.runtime.user_code import output
from trainjobs.runtime.user_code.output import captured
said, before = [], (sys.stdout, sys.stderr, os.fstat(1), os.fstat(2))
try:
    with captured(said.append):
{program}
finally:
    same = before == (sys.stdout, sys.stderr, os.fstat(1), os.fstat(2))
    sys.stdout.write("ITS OWN " + json.dumps([said, same]) + "\\n")
    sys.stdout.flush()
    os._exit(0)
"""


def told_by(program, still_writes=False):
    """The lines that arrive from a program which runs in a process with descriptors of its own, as it is captured."""
    lines = "".join(f"        {line}\n" for line in program.strip("\n").splitlines())
    command = [sys.executable, "-c", FRAME.format(program=lines)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    elsewhere, _, own = done.stdout.rpartition("ITS OWN ")
    assert still_writes or (elsewhere, done.stderr) == ("", "")
    said, same = json.loads(own.partition("\n")[0])
    assert same, "the descriptors and streams are not as they were"
    return said


WRITERS = {
    "print": ("print('a', 1)", ["a 1"]),
    "without an end": ("print('a', end='')", ["a"]),
    "an empty line": ("print('a\\n\\nb')", ["a", "", "b"]),
    "flushed": ("print('a', flush=True); print('b', file=sys.stderr, flush=True)", ["a", "b"]),
    "bytes": ("sys.stdout.buffer.write(b'a\\n')", ["a"]),
    "bytes that are no text": ("os.write(1, b'\\xff\\xc3\\xa4\\n')", ["\ufffdä"]),
    "a character in two pieces": ("os.write(1, b'\\xc3'); os.write(1, b'\\xa4\\n')", ["ä"]),
    "a lone surrogate": ("print('\\udc80')", ["\\udc80"]),
    "the descriptor": ("os.write(1, b'a\\n'); os.write(sys.stderr.fileno(), b'b\\n')", ["a", "b"]),
    "C": ("import ctypes; ctypes.CDLL(None).puts(b'a')", ["a"]),
    "Python's own streams": ("print('a', file=sys.__stdout__)", ["a"]),
    "a subprocess": ("import subprocess; subprocess.run(['echo', 'a'])", ["a"]),
    "a subprocess that is given the stream": (
        "import subprocess; subprocess.run('echo a >&2', shell=True, stdout=sys.stdout, stderr=sys.stderr)",
        ["a"],
    ),
    "a thread": (
        "import threading; t = threading.Thread(target=print, args='a'); t.start(); t.join()",
        ["a"],
    ),
    "a forked process": (
        "from multiprocessing import get_context as of; p = of('fork').Process(target=print, args='a');"
        "p.start(); p.join()",
        ["a"],
    ),
    "a spawned process": (
        "from multiprocessing import get_context as of; p = of('spawn').Process(target=print, args='a');"
        "p.start(); p.join()",
        ["a"],
    ),
    "logging": (
        "import logging; logging.basicConfig(format='%(levelname)s %(message)s'); logging.warning('a')",
        ["WARNING a"],
    ),
    "a tee over the stream": (
        "class Tee:\n    out = sys.stdout\n    write = lambda self, text: self.out.write(text)\n"
        "sys.stdout = Tee()\nprint('a')",
        ["a"],
    ),
    "a stream closed by the program": ("print('a'); sys.stdout.close()", ["a"]),
    "a descriptor closed by the program": ("print('a'); os.close(1)", ["a"]),
    "an error": ("print('a'); raise SystemExit(3)", ["a"]),
    "a bar": ("for i in range(3): print(f'\\r{i}%', end='')\nprint()", ["2%"]),
    "a bar that ends its states": ("for i in range(3): print(f'{i}%', end='\\r')", ["2%"]),
    "a bar without an end": ("for i in range(3): print(f'\\r{i}%', end='')", ["2%"]),
    "a bar that wipes itself out": ("print('\\r2%', end=''); print('\\r  \\r', end='')", []),
    "lines of Windows": ("os.write(1, b'a\\r'); os.write(1, b'\\nb\\r\\n')", ["a", "b"]),
}


@pytest.mark.parametrize(("program", "lines"), WRITERS.values(), ids=WRITERS)
def test_each_line_arrives_once_whoever_writes_it(program, lines):
    assert told_by(program) == lines


STREAM = {
    "fileno": "(sys.stdout.fileno(), sys.stderr.fileno()) == (1, 2)",
    "name": "(sys.stdout.name, sys.stderr.name) == ('<stdout>', '<stderr>')",
    "encoding": "sys.stdout.encoding.lower() == 'utf-8'",
    "isatty": "not sys.stdout.isatty() and not sys.stderr.isatty()",
    "buffer": "sys.stdout.buffer.writable()",
    "reconfigure": "sys.stdout.reconfigure(line_buffering=False) is None",
    "faulthandler": "__import__('faulthandler').enable() is None",
    "a terminal's width": "__import__('shutil').get_terminal_size().columns == 80",
}


@pytest.mark.parametrize("claim", STREAM.values(), ids=STREAM)
def test_the_streams_are_those_that_python_itself_would_make(claim):
    assert told_by(f"print({claim})") == ["True"]


def test_both_streams_are_heard_in_the_order_in_which_they_are_written():
    """Roughly: each is a pipe of its own. Lines that are a moment apart are in order."""
    program = "import time\nfor i in range(20):\n    print(i, file=(sys.stdout, sys.stderr)[i % 2]); time.sleep(0.01)"
    assert told_by(program) == [str(i) for i in range(20)]


def test_lines_of_many_processes_are_whole():
    program = """
from multiprocessing import get_context
def write(letter):
    for _ in range(300):
        print(letter * 2000)
writers = [get_context("fork").Process(target=write, args=(letter,)) for letter in "abcd"]
for writer in writers:
    writer.start()
for writer in writers:
    writer.join()
"""
    told = told_by(program)
    assert sorted(told) == sorted(letter * 2000 for letter in "abcd" for _ in range(300))


def test_a_process_that_outlives_the_program_and_keeps_its_output_is_not_waited_for():
    began = time.monotonic()
    told = told_by("import subprocess; print(subprocess.Popen(['sleep', '60']).pid)")
    os.kill(int(told[0]), 9)
    assert time.monotonic() - began < 30


def test_a_process_that_outlives_the_program_and_goes_on_writing_is_not_listened_to_for_ever():
    began = time.monotonic()
    told = told_by(
        "import subprocess; print(subprocess.Popen('while echo y; do sleep 0.01; done', shell=True).pid)"
    )
    os.kill(int(next(filter(str.isdigit, told))), 9)
    assert time.monotonic() - began < 30


def test_what_was_written_before_the_end_arrives_though_a_thread_goes_on_writing():
    program = """
import threading
def chatter():
    while True:
        print("chatter")
threading.Thread(target=chatter, daemon=True).start()
print("last words")
"""
    assert "last words" in told_by(program, still_writes=True)


def test_a_million_states_of_a_bar_cost_one_line():
    began = time.monotonic()
    program = "for i in range(1_000_000): sys.stderr.write(f'\\rstep {i}')"
    assert told_by(program) == ["step 999999"]
    assert time.monotonic() - began < 60


def test_output_without_any_end_of_line_arrives_in_pieces():
    said = []
    lines = Lines(said.append)
    for _ in range(100):
        lines.take(b"\0" * 100_000)
        assert len(lines._rest) <= LONGEST_LINE
    lines.end()
    assert sum(map(len, said)) == 10_000_000
    assert max(map(len, said)) <= LONGEST_LINE


def test_a_program_that_writes_faster_than_it_is_heard_waits():
    """Nothing piles up: while nobody takes its lines, a program gets no further than a pipe is large."""
    written, taken = [], threading.Semaphore(0)

    def write():
        for _ in range(5_000):
            written.append(os.write(1, b"x" * 999 + b"\n"))

    with captured(lambda _: taken.acquire()):
        writer = threading.Thread(target=write)
        writer.start()
        writer.join(timeout=1)
        until_it_waited = sum(written)
        taken.release(5_000)
        writer.join()
    assert until_it_waited < 2_000_000
    assert sum(written) == 5_000_000


def test_all_that_was_written_arrives_however_slowly_it_is_heard(monkeypatch):
    """At the end a pipe may be full and the driver slow: the time that is left is for those who still write."""
    monkeypatch.setattr(output, "DRAIN_S", 0.0)
    said, heard = [], threading.Event()

    def say(line):
        heard.wait()
        said.append(line)

    with captured(say):
        for number in range(10_000):
            print(number)
        threading.Timer(0.1, heard.set).start()
    assert said == [str(number) for number in range(10_000)]
