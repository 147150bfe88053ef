"""What the images install: all that the project needs, as it is pinned, and each file with its hashes."""

import re
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())


def extras(*names: str) -> list[str]:
    project = PROJECT["project"]
    return project["dependencies"] + [
        each for name in names for each in project["optional-dependencies"][name]
    ]


WANTED = {
    "operator/requirements.txt": extras("operator"),
    "trainjobs/requirements.txt": extras("train", "cluster", "examples"),
    "operator/build-requirements.txt": PROJECT["build-system"]["requires"],
}


def needed(wanted: list[str]) -> set[str]:
    """The names of all packages that these need here, by what is installed."""
    found, ahead = set[tuple[str, str]](), [Requirement(text) for text in wanted]
    while ahead:
        requirement = ahead.pop()
        for extra in ("", *requirement.extras):
            if (key := (canonicalize_name(requirement.name), extra)) not in found:
                found.add(key)
                parts = map(Requirement, distribution(requirement.name).requires or [])
                ahead += [part for part in parts if not part.marker or part.marker.evaluate({"extra": extra})]
    return {name for name, _ in found}


@pytest.mark.parametrize("file", WANTED)
def test_the_images_packages_are_all_that_is_needed_as_it_is_pinned_and_hashed(file):
    entries = re.split(r"\n(?=\S)", (ROOT / file).read_text().strip())
    pins = dict(re.match(r"([\w.-]+)==(\S+)", entry).groups() for entry in entries)
    assert needed(WANTED[file]) <= set(pins), "run `make requirements`"
    assert {name: pin for name, pin in pins.items() if PINS.get(name) != pin} in (
        {},
        {"colorama": "0.4.6"},  # for Windows only, which the constraints leave out
    ), "run `make requirements`"
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    assert "://" not in "".join(entries)
