"""The benchmarks that need a cluster run to their end, in a cluster of their own; figures are for people to judge."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testbed.fixtures import require

REPOSITORY = Path(__file__).parents[2]
BENCHMARKS = REPOSITORY / "tests" / "benchmarks"


def figures_of(benchmark: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, BENCHMARKS / benchmark, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


@pytest.mark.timeout(1200)
def test_200_trainjobs_at_once_complete_with_as_few_writes_as_promised(record_property):
    require("fake_nodes")
    require("helm")
    figures = figures_of("operator_scale.py", "--count", "200", "--rounds", "1", "--idle-seconds", "5")
    record_property("200 TrainJobs: what was found against the bars", figures["bars"])
    assert (figures["creates"], figures["idle_writes"]) == (4, 0)
    assert 3 <= figures["status_writes"] <= 4


@pytest.mark.timeout(300)
def test_an_operator_that_starts_where_trainjobs_run_writes_nothing():
    require("helm")
    options = ("--count", "20", "--rounds", "1", "--against", str(REPOSITORY))
    figures = figures_of("operator_start.py", *options)
    assert [start["writes"] for who in ("this", "other") for start in figures[who]] == [0, 0]
    assert 0.5 < figures["ratios"]["peak_mib"] < 2
