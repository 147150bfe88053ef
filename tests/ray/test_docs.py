"""Every command in the documentation works as it stands there."""

import re
import subprocess

import pytest
import yaml
from pages import commands
from processes import ROOT, TRAINJOBS

from trainjobs.api.manifest import parse_stopping

ON_A_CLUSTER = (ROOT / "docs/install.md", ROOT / "docs/cluster.md")
"""Tests on a cluster run these pages."""
WITH_KUBECTL = (ROOT / "docs/sweeps.md",)
"""And of these the lines with kubectl."""
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "manifests/examples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.fixture(scope="module")
def desk(tmp_path_factory, undisturbed):
    """A directory like a checkout in which the demo was run."""
    desk = tmp_path_factory.mktemp("desk")
    (desk / "manifests").symlink_to(ROOT / "manifests")
    (desk / "runs").mkdir()
    (desk / "runs/mnist").symlink_to(undisturbed[0])
    return desk


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in ON_A_CLUSTER], ids=lambda page: page.name
)
def test_every_command_runs(page, desk):
    for program, *arguments in commands(page):
        if program == "kubectl" and page in WITH_KUBECTL:
            continue
        if program == "make":
            command, place = ["make", "--dry-run", *arguments], ROOT
        else:
            assert program.endswith("trainjobs"), f"{page.name}: nobody runs {program}"
            command, place = [TRAINJOBS, *arguments], desk
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{page.name}: {command}: {done.stdout}{done.stderr}"


def test_the_manifest_and_the_code_in_the_readme_are_valid():
    text = (ROOT / "README.md").read_text()
    (stopping,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    parse_stopping(yaml.safe_load(stopping)["stopping"])
    for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        compile(code, "README.md", "exec")


def test_every_link_between_pages_leads_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
