"""The table of criteria."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from trainjobs.cli.rendering.criteria_table import criteria_table
from trainjobs.runs.events import CriterionResult

REASON = "val_loss 0.41 has not improved on 0.4 (epoch 2) for 3 reports"
RESULT = CriterionResult("plateau", "plateau", False, None, 0.6, "3/5", REASON, stop=False)


def table(*results, width=100, whole_sentences=True, encoding="utf-8", notes=None):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=out, width=width, highlight=False).print(
        criteria_table(results, whole_sentences=whole_sentences, notes=notes), end=""
    )
    out.seek(0)
    return [line.rstrip() for line in out.read().splitlines()]


@pytest.mark.parametrize(
    ("closeness", "bar"),
    [
        (0.0, "╌╌╌╌╌╌╌╌╌╌"),
        (0.6, "━━━━━━╌╌╌╌"),
        (0.99, "━━━━━━━━━╌"),
        (1.0, "━━━━━━━━━━"),
        (7.0, "━━━━━━━━━━"),
        (-1.0, "╌╌╌╌╌╌╌╌╌╌"),
    ],
)
def test_the_bar_is_full_only_at_a_stop(closeness, bar):
    assert table(replace(RESULT, closeness=closeness)) == [f"plateau  {bar}  3/5  {REASON}"]


def test_ascii_terminals_get_ascii_bars():
    assert table(RESULT, encoding="ascii")[0].startswith("plateau  ######....  3/5")


@pytest.mark.parametrize(
    ("change", "beginning"),
    [
        ({"shadow": True}, "shadow: val_loss"),
        ({"shadow": True, "stop": True}, "shadow, would stop: val_loss"),
        (
            {"gated": "startAfter epoch 3", "reason": "held back at epoch 2 by startAfter epoch 3"},
            "held back at",
        ),
    ],
)
def test_a_criterion_that_cannot_stop_the_run_says_so(change, beginning):
    assert f"3/5  {beginning}" in table(replace(RESULT, **change))[0]


def test_whole_sentences_are_wrapped_below_themselves():
    lines = table(RESULT, width=50)
    assert len(lines) > 1
    assert " ".join(line[26:].strip() for line in lines) == REASON


def test_cut_sentences_keep_one_line_and_the_columns():
    lines = table(
        RESULT, replace(RESULT, name="a-name-that-is-rather-long-indeed"), width=80, whole_sentences=False
    )
    assert len(lines) == 2
    assert all(line.endswith("…") and len(line) <= 80 and "━━━━━━╌╌╌╌" in line for line in lines)


def test_a_note_stands_below_its_sentence():
    assert table(RESULT, notes={"plateau": "saves 3 epochs"})[1].strip() == "saves 3 epochs"
