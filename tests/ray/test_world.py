"""On Ray a training function's world is that of a program too: what it writes is read, and Ray's own is not seen."""

import json
import subprocess
from collections import Counter

import pytest
from processes import TRAINJOBS, follow
from trials import RECIPES

from trainjobs.exits import Exit

MANIFEST = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: world}
spec:
  trainer: {entrypoint: "world:train", maxEpochs: 1}
  stopping: {monitor: loss}
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What one worker on Ray has written."""
    directory = tmp_path_factory.mktemp("world")
    for recipe in ("world.py", "speaking.py"):
        (directory / recipe).write_text((RECIPES / recipe).read_text())
    (directory / "trainjob.yaml").write_text(MANIFEST)
    command = [TRAINJOBS, "run", "trainjob.yaml", "--launcher", "ray", "--output", "json"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=directory
    )
    events, code, errors = follow(process)
    assert (code, errors) == (Exit.DONE, ""), json.dumps(events)
    return [event["text"] for event in events if event["event"] == "Printed"]


def test_what_is_written_while_the_module_is_imported_is_told_once(told):
    assert told.count("INFO logged at import") == told.count("printed at import") == 1


def test_a_program_has_no_arguments_of_rays(told):
    assert "lr 0.5 of world.py" in told


def test_lines_of_a_loaders_processes_are_told(told):
    lines = Counter(line for line in told if line.startswith(("fork ", "spawn ")))
    assert lines == {f"{start} {index}": 2 for start in ("fork", "spawn") for index in (0, 1)}


def test_nothing_but_the_programs_own_lines_is_told(told):
    own = ("INFO", "printed", "lr", "a subprocess", "a thread", "fork", "spawn", "no end")
    others = [line for line in told if not line.startswith(own) and "a warning" not in line]
    assert [line for line in others if "warnings.warn" not in line] == []
