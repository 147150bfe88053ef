"""The pages say what the program says, their YAML is valid, and their links lead somewhere."""

import ast
import re
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest
import yaml
from pages import blocks
from pydantic import TypeAdapter, ValidationError

from trainjobs.api.crd.reference import anchor
from trainjobs.api.fields import models_in
from trainjobs.api.manifest import Manifest
from trainjobs.api.reasons import KubernetesReason, Reason
from trainjobs.api.sweep import TrainSweep
from trainjobs.api.trainjob import TrainJob
from trainjobs.exits import Exit, UserError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")])
JOB = {
    "apiVersion": "trainjobs.dev/v1alpha1",
    "kind": "TrainJob",
    "metadata": {"name": "example"},
    "spec": {"trainer": {"entrypoint": "train:train", "maxEpochs": 100}},
}
"""What a page leaves out that shows a part of a manifest."""
OTHERS = {"OutOfMemoryError": "torch", "Bus error": "the operating system"}
"""Words of others on the page of symptoms, by who says them."""
BY_HAND = {
    "install.md": "needs docker and kind",
    "README.md": "needs a cluster with the images in a registry; tests/cluster runs the same by other names",
    "running.md": "needs another project, a terminal of its own, or a run in another terminal",
    "sweeps.md": "needs a sweep in a cluster; tests/cluster/test_sweeps.py copies one",
    "images.md": "needs docker; tests/cluster/test_images.py builds the same without it",
}
"""Pages with commands in `console` blocks, which no test runs as they stand, and why."""


@cache
def texts() -> tuple[str, ...]:
    """Every text in the program; what it fills in is `…`."""
    return tuple(
        text
        for top in ("trainjobs", "operator")
        for path in (ROOT / top).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (text := _text(node))
    )


def _text(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_said(words: str) -> bool:
    """Whether the program has these words, with `…` for what it fills in, or a text that can be filled in so."""
    if any(words in text for text in texts()):
        return True
    filled = (text for text in texts() if "…" in text and len(text) > 20)
    return any(re.fullmatch(".+".join(map(re.escape, text.split("…"))), words) for text in filled)


def test_every_message_on_the_page_of_symptoms_is_one_of_the_programs():
    rows = re.findall(r"^\| ([^|]*) \|.*\|$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    quoted = [words for row in rows for words in re.findall(r"`([^`]+)`", row)]
    quoted = [words for words in quoted if words not in OTHERS and not words.startswith("trainjobs ")]
    assert len(quoted) > 50
    assert [words for words in quoted if not is_said(words)] == []


@cache
def raised() -> list[tuple[Exit, str]]:
    """The user's errors that the program raises, by their exit codes, with their texts."""
    return [
        (kinds[node.func.id].exit_code, text)
        for kinds in [{kind.__name__: kind for kind in UserError.__subclasses__()}]
        for path in (ROOT / "trainjobs").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds
        for argument in node.args
        if (text := _text(argument))
    ]


def test_the_exit_code_beside_a_message_is_the_one_that_it_is_raised_with():
    page = (DOCS / "troubleshooting.md").read_text()
    shown = re.findall(r"`([^`|]{15,})` \((\d+)\)", page)
    found = [
        (words, int(code), {int(one) for one, text in raised() if words in text}) for words, code in shown
    ]
    checked = [(words, code, codes) for words, code, codes in found if codes]
    assert len(checked) > 15
    assert [words for words, code, codes in checked if codes != {code}] == []


def test_a_message_that_no_program_has_is_noticed():
    assert not is_said("no step for … minutes")
    assert is_said("no step for … s (progressDeadlineSeconds)")
    assert is_said("training with 2 workers on cpu (up after 3 s)")


def test_every_reason_that_needs_a_remedy_is_on_the_page_of_symptoms():
    page = (DOCS / "troubleshooting.md").read_text()
    fine = {
        *("New", "Running", "Stopping", "Suspending", "Ending", "Finished", "EarlyStopped", "StopRequested"),
        *("Pruned", "Interrupted", "Failed", "NotOurs", "WorkerDied", "DriverFailed", "DriverDied"),
        *("SchedulingGated", "FailedScheduling", "FailedCreatePodSandBox", "InternalError", "Waiting"),
        "CrashLoopBackOff",
    }
    assert {
        reason for kind in (Reason, KubernetesReason) for reason in kind if f"`{reason}`" not in page
    } <= fine


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_manifest_is_valid(page, tmp_path):
    for number, text in enumerate(blocks(page, "yaml")):
        for document in yaml.safe_load_all(text):
            path = tmp_path / f"{number}.yaml"
            path.write_text(yaml.safe_dump(whole(document), allow_unicode=True))
            if document.get("kind") in (None, "TrainJob", "TrainSweep") and not is_for_helm(document):
                manifest = Manifest.read(path)
                assert manifest.sweep() if manifest.holds_sweep else manifest.job()


def is_for_helm(document):
    """Whether these are values of the chart, which has all of them."""
    values = yaml.safe_load((ROOT / "charts/trainjobs/values.yaml").read_text())
    return document.keys() <= values.keys()


def whole(document):
    """A manifest of which the page shows the spec, a part of it, or all."""
    if "kind" in document:
        return document
    spec = document.get("spec", document)
    trainer = {**JOB["spec"]["trainer"], **spec.get("trainer", {})}
    return {
        **JOB,
        "metadata": {**JOB["metadata"], **document.get("metadata", {})},
        "spec": {**spec, "trainer": trainer},
    }


@pytest.mark.parametrize(("page", "at_least"), [("coming-from.md", 40), ("criteria.md", 12)])
def test_every_field_that_a_table_recommends_is_one_of_ours(page, at_least):
    rows = re.findall(r"^\| [^|]* \| ([^|]*) \|.*\|$", (DOCS / page).read_text(), re.MULTILINE)
    shown = [words for row in rows for words in re.findall(r"`([a-z]\w+: [^`]+)`", row)]
    assert len(shown) > at_least
    for words in shown:
        ((name, value),) = yaml.safe_load(words).items()
        assert any(is_valid(kind, name, value) for kind in kinds()), words


@cache
def kinds():
    """Every type of a manifest."""
    found, left = set(), [TrainJob, TrainSweep]
    while left:
        if (kind := left.pop()) not in found:
            found.add(kind)
            left += [inner for field in kind.model_fields.values() for inner in models_in(field.annotation)]
    return found


def is_valid(kind, name, value):
    """Whether a field of that name takes the value."""
    fields = {field.alias or plain: field for plain, field in kind.model_fields.items()}
    if name not in fields:
        return False
    try:
        TypeAdapter(fields[name].rebuild_annotation()).validate_python(value, by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_script_is_python(page):
    for text in blocks(page, "python"):
        ast.parse(dedent(re.sub(r"^#.*\n", "", text)))  # a part of a class stands below its file


def test_every_page_with_commands_that_no_test_runs_says_why():
    assert {page.name for page in PAGES if blocks(page, "console")} == set(BY_HAND)


def test_every_link_to_a_section_leads_to_one():
    headings = {
        page: {anchor(text) for text in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)}
        for page in PAGES
    }
    for page in PAGES:
        for target, section in re.findall(r"\]\(([\w./-]*)#([^)]+)\)", page.read_text()):
            there = (page.parent / target).resolve() if target else page
            assert section in headings.get(there, {section}), f"{page.name}: {target}#{section}"


def test_every_page_is_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in DOCS.glob("*.md") if f"](docs/{page.name})" not in readme] == []
