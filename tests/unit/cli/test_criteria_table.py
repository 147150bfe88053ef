"""The table of criteria."""

import io

import pytest
from rich.console import Console

from trainjobs.cli.criteria_table import criteria_table

ROW = {
    "name": "plateau",
    "family": "plateau",
    "shadow": False,
    "gated": None,
    "closeness": 0.6,
    "waiting": "3/5",
    "reason": "val_loss 0.41 has not improved on 0.4 (epoch 2) for 3 reports",
    "stop": False,
}


def table(*rows, width=100, whole_sentences=True, encoding="utf-8"):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Console(file=out, width=width, highlight=False).print(
        criteria_table(rows, whole_sentences=whole_sentences), end=""
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
    assert table({**ROW, "closeness": closeness}) == [f"plateau  {bar}  3/5  {ROW['reason']}"]


def test_ascii_terminals_get_ascii_bars():
    assert table(ROW, encoding="ascii")[0].startswith("plateau  ######....  3/5")


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
    assert f"3/5  {beginning}" in table({**ROW, **change})[0]


def test_whole_sentences_are_wrapped_below_themselves():
    lines = table(ROW, width=50)
    assert len(lines) > 1
    assert " ".join(line[26:].strip() for line in lines) == ROW["reason"]


def test_cut_sentences_keep_one_line_and_the_columns():
    lines = table(ROW, {**ROW, "name": "a-name-that-is-rather-long-indeed"}, width=80, whole_sentences=False)
    assert len(lines) == 2
    assert all(line.endswith("…") and len(line) <= 80 and "━━━━━━╌╌╌╌" in line for line in lines)


def test_a_note_stands_below_its_sentence():
    assert table({**ROW, "note": "saves 3 epochs"})[1].strip() == "saves 3 epochs"
