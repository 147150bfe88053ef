"""Events are values, made of what criteria said, and none of it needs torch or Ray."""

import dataclasses
import subprocess
import sys
from typing import get_args

import pytest

from trainjobs.runs.events import (
    CriterionResult,
    Event,
    Reported,
)
from trainjobs.stopping import Best, Finding, Observation, Ruling, Verdict

SEEN = Observation(epoch=3, step=30, seconds=1.5, metrics={"val_loss": 0.5})
RESULT = CriterionResult("plateau", "plateau", False, None, 0.6, "3/5", "flat", False, "val_loss", 0.6)


@pytest.mark.parametrize("kind", get_args(Event))
def test_events_are_values(kind):
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_a_ruling_becomes_results_and_a_best():
    verdict = Verdict(False, "flat", "val_loss", 0.6, 0.5, 2, 0.6, "3/5")
    finding = Finding("plateau", "plateau", False, verdict)
    ruling = Ruling(None, (finding,), Best("val_loss", 0.5, 2, 20, 2), "plateau 3/5")
    event = Reported.of(SEEN, ruling, 3)
    assert event.results == (RESULT,)
    assert event.best == Best("val_loss", 0.5, 2, 20, 2)
    assert (event.waiting, event.report) == ("plateau 3/5", 3)


def test_a_ruling_without_a_best_has_none():
    assert Reported.of(SEEN, Ruling(None, (), None, ""), 3).best is None


def test_events_and_directories_load_neither_torch_nor_ray():
    program = (
        "import sys, trainjobs.runs.codec, trainjobs.runs.directory, trainjobs.exits, "
        "trainjobs.runs.requests; print(sorted({'torch', 'ray', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
