"""The picture of the packages in docs/architecture.md is the one that import-linter checks."""

import ast
import re
import tomllib
from pathlib import Path

from pages import blocks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"


def contract(name):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return next(one for one in settings["tool"]["importlinter"]["contracts"] if one["name"] == name)


def test_the_layers_drawn_are_those_of_the_contract():
    layers = contract("Arrows point one way")["layers"]
    drawn = blocks(PAGE, "")[0].splitlines()
    assert drawn == [layer.replace("trainjobs.", "") for layer in layers]


def test_every_package_has_a_sentence_on_what_it_never_does():
    told = re.findall(r"^\| `([a-z]+)` \| .+ \| .+ \|$", PAGE.read_text(), re.MULTILINE)
    there = {path.parent.name for path in (ROOT / "trainjobs").glob("*/__init__.py")} | {"exits", "recorded"}
    assert sorted(told) == sorted(there)


def test_every_file_that_the_page_names_is_there():
    named = re.findall(r"`([\w/]+/\w+\.py)`", PAGE.read_text())
    assert len(named) > 40
    assert [
        name for name in named if not any((ROOT / top / name).exists() for top in ("", "trainjobs"))
    ] == []


def test_every_file_that_a_package_says_to_read_is_there():
    packages = [*(ROOT / "trainjobs").rglob("__init__.py"), *(ROOT / "operator").rglob("__init__.py")]
    named = [
        (package.parent, name)
        for package in packages
        for name in re.findall(r"`([\w/]+\.py)`", ast.get_docstring(ast.parse(package.read_text())) or "")
    ]
    assert len(named) > 50
    assert [
        (place.relative_to(ROOT).as_posix(), name)
        for place, name in named
        if not any((top / name).exists() for top in (place, ROOT / "trainjobs", ROOT))
    ] == []


def test_no_class_name_means_two_things():
    """But a criterion's parameters and the criterion, which are two sides of one; and an adapter has the name of the
    class in whose place it stands."""
    places = {}
    paths = [*(ROOT / "trainjobs").rglob("*.py"), *(ROOT / "operator").rglob("*.py")]
    for path in (path for path in paths if path.parent.name != "adapters"):
        for name in re.findall(r"^class (\w+)", path.read_text(), re.MULTILINE):
            places.setdefault(name, []).append(path.relative_to(ROOT).as_posix())
    sides = {"trainjobs/api/stopping.py", "trainjobs/api/monitoring.py", "trainjobs/api/pruning.py"}
    twice = {name: found for name, found in places.items() if len(found) > 1 and not sides & set(found)}
    assert twice == {}
