"""docs/reference.md: up to date, with every field, and every link in it leads to a section."""

import re
import subprocess
import sys
from pathlib import Path

from pydantic import BaseModel

from trainjobs.api.crd.reference import anchor, page
from trainjobs.api.fields import models_in
from trainjobs.api.sweep import TrainSweep
from trainjobs.api.trainjob import TrainJob

FILE = Path(__file__).parents[3] / "docs" / "reference.md"
PAGE = page()


def sections():
    """What stands below each heading."""
    return dict(part.split("\n", 1) for part in re.split(r"^##+ ", PAGE, flags=re.MULTILINE)[1:])


def all_types(kind, seen):
    """A type and all that are in it, each with the fields that it has."""
    if kind not in seen:
        seen.add(kind)
        for field in kind.model_fields.values():
            values = getattr(field.annotation, "__args__", ())[1:]
            for inner in (
                *models_in(field.annotation),
                *(each for value in values for each in models_in(value)),
            ):
                all_types(inner, seen)
    return seen


def test_the_page_is_up_to_date():
    assert FILE.read_text() == PAGE, "run `make generate`"


def test_the_command_prints_the_page():
    command = [sys.executable, "-m", "trainjobs.api.crd.reference"]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == PAGE


def test_every_field_has_a_row_with_its_meaning():
    seen: set[type[BaseModel]] = set()
    rows = set(re.findall(r"^\| `(\w+)` \| .* \| ([^|]*(?:\\\|[^|]*)*) \|$", PAGE, re.MULTILINE))
    for kind in (TrainJob, TrainSweep):
        for each in all_types(kind, seen):
            for name, field in each.model_fields.items():
                meaning = " ".join(field.description.split()).replace("|", r"\|")
                assert (field.alias or name, meaning) in rows, f"{each.__name__}.{name}"


def test_every_link_on_the_page_leads_to_a_section():
    anchors = [anchor(heading) for heading in sections()]
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) - set(anchors) == set()


def test_a_row_says_bounds_and_default_as_the_types_have_them():
    spec = sections()["trainjob.spec"]
    assert "| `backoffLimit` | integer, 0 to 2,147,483,647 | `3` | Failed attempts" in spec
    trainer = sections()["trainjob.spec.trainer"]
    assert "| `numProcPerNode` | integer, 1 to 256 | `1` |" in trainer
    assert "Of `maxEpochs`, `maxSteps` exactly one is given." in trainer
    alpha = sections()["trainjob.spec.stopping.smoothing.ema"]
    assert "| `alpha` | number, at most 1, more than 0 | **required** |" in alpha


def test_a_composition_is_told_by_what_differs():
    inner = sections()["trainjob.spec.stopping.criteria[].all[].all[]"]
    assert "without `all`, `atLeast`, `not`, `name`, `shadow`." in inner
