"""The live display, rendered to text."""

import dataclasses
import io
import re

import pytest
from rich.console import Console

from trainjobs.api import Stopping
from trainjobs.cli.rendering.display import Display, drawn
from trainjobs.cli.rendering.screen import Screen
from trainjobs.runs.events import (
    Decided,
    Failed,
    Printed,
    Progress,
    Reported,
    Restarting,
    Started,
    Starting,
    Warned,
)
from trainjobs.stopping import Observation, Panel
from trainjobs.views.plain import Plain


def text(screen, width=80, note="", height=24, waited_s=0.0):
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(drawn(screen, note, height, waited_s), end="")
    return out.getvalue()


def screen_after(events):
    screen = Screen("mnist")
    for event in events:
        screen = screen.after(event)
    return screen


def test_before_the_workers_are_up_it_says_so(recording):
    recording.early_stop()
    assert text(screen_after(recording.events[:1])).strip() == "mnist  starting · 2 workers"


def test_while_the_workers_start_it_counts_the_seconds(recording):
    recording.early_stop()
    shown = text(screen_after(recording.events[:1]), waited_s=65.3)
    assert shown.strip() == "mnist  starting for 1 min 5 s · 2 workers"
    assert " for " not in text(screen_after(recording.events[:2]), waited_s=65.3).splitlines()[0]


def test_while_it_trains_it_shows_progress_metrics_and_criteria(recording):
    recording.early_stop()
    twelve_reports = 2 + 12 * 2
    lines = text(screen_after(recording.events[:twelve_reports])).splitlines()
    assert lines[0].strip() == "mnist  training · 2 workers on cpu"
    assert "epoch 13 of 100" in lines[1]
    assert lines[1].rstrip().endswith("at most 6 min 36 s left")
    assert "batch 0 of 70" in lines[2]
    shown = "\n".join(lines)
    assert "best 0.3975 in epoch 11" in shown
    assert "plateau    ━━━━━━━━╌╌             4/5  val_loss 0.401 has not improved" in shown
    assert "quick      ━━━━━╌╌╌╌╌             1/2  shadow: val_loss" in shown
    assert "held back at epoch 12 by startAfter" in shown


def test_a_reason_keeps_its_number_where_there_is_room(recording):
    recording.early_stop()
    before_the_stop = screen_after(recording.events[: 2 + 12 * 2])
    assert "has not improved on 0.398 (epoch 8) by more than 0.001" in " ".join(text(before_the_stop).split())
    low = text(before_the_stop, height=12)
    assert "…" in low
    assert len(low.splitlines()) <= 12


def test_after_the_end_it_shows_the_epoch_that_was_the_last(recording):
    recording.early_stop()
    shown = text(screen_after(recording.events[:-1]))
    assert "epoch 13 of 100" in shown
    assert "batch 0" not in shown


def test_the_title_is_one_line(recording):
    recording.early_stop()
    screen = dataclasses.replace(screen_after(recording.events), name="m" * 30)
    assert text(screen).splitlines()[0].startswith("m" * 30 + "  halted")
    assert text(screen).splitlines()[1].lstrip().startswith("epoch 13")


def test_a_run_of_so_many_steps_shows_how_many_are_done(recording):
    recording.by_steps()
    lines = text(screen_after(recording.events[: 2 + 12 * 2])).splitlines()
    assert "step 1,200 of 5,000" in lines[1]
    assert lines[1].rstrip().endswith("at most 6 min 20 s left")
    assert "batch 1,200" in lines[2]
    assert "epoch 1" in lines[2]
    assert "best 0.3975 at step 1,100" in text(screen_after(recording.events))


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_is_never_wider_than_the_terminal(recording, width):
    recording.early_stop()
    for number in range(1, len(recording.events)):
        assert all(
            len(line) <= width for line in text(screen_after(recording.events[:number]), width).splitlines()
        )


COLUMNS = ("at most", "step ", "[▁-█]", "best", "╌{10}", r"\S+/0.995 ", r"acc \S+ has")
"""What the columns of the screen begin with, or end."""


def test_columns_stay_where_they_are_from_report_to_report():
    of = {"monitor": "loss", "criteria": [{"threshold": {"monitor": "acc", "mode": "max", "value": 0.995}}]}
    panel = Panel.of(Stopping.model_validate(of))
    state = panel.fold(())
    screen = screen_after([Starting(2, 2), Started(1, 2, "cpu", None, 0, 100, (), 6.2)])
    places = set()
    for epoch, accuracy in enumerate([0.98, 0.976, 0.97612, -0.5, 0.123457] * 6, start=1):
        seen = Observation(epoch, epoch * 1200, 9.7 * epoch, {"loss": 1 / epoch, "acc": accuracy})
        state = panel.fold((seen,), state)
        screen = screen.after(Reported.of(seen, panel.judge(state), epoch))
        for batch in (9, 10, 999, 1000):
            progress = Progress(epoch + 1, epoch * 1200 + batch, batch, 1200, 9.7 * epoch + 1)
            shown = text(screen.after(progress))
            found = [re.search(column, shown) for column in COLUMNS]
            places.add(tuple(each.end() if "/" in each.re.pattern else each.start() for each in found))
    assert len(places) == 1


def test_a_note_is_shown_below(recording):
    recording.early_stop()
    shown = text(screen_after(recording.events[:4]), note="Ctrl-C: stopping at one step on all ranks")
    assert shown.splitlines()[-1] == "Ctrl-C: stopping at one step on all ranks"


def test_a_worse_report_at_the_step_of_the_best_is_not_the_best():
    panel = Panel.of(Stopping.model_validate({"monitor": "loss"}))
    state, screen = panel.fold(()), Screen("mnist")
    for number, (value, words) in enumerate([(0.4, "best so far"), (0.5, "best 0.4 in epoch 1")], start=1):
        seen = Observation(1, 10, 2.0, {"loss": value}, whole=False)
        state = panel.fold((seen,), state)
        screen = screen.after(Reported.of(seen, panel.judge(state), number))
        assert words in text(screen)


def test_what_happened_stays_when_the_display_is_gone(recording):
    recording.early_stop()
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system=None, highlight=False)
    display = Display(console, "mnist")
    with display:
        for event in [Warned("no test set"), *recording.events]:
            display(event)
    lasting = [re.split(r"\x1b\[\??\d*[a-zA-Z]", line)[-1].rstrip() for line in out.getvalue().splitlines()]
    decision = next(event for event in recording.events if isinstance(event, Decided)).decision
    assert "warning: no test set" in lasting
    assert f"stopping early by plateau, decided at step 910: {decision.reason}" in lasting
    assert "halted: step 910 on all 2 ranks, 41 ms after the decision" in lasting


@pytest.mark.parametrize(
    "event",
    [
        Restarting(2, "rank 1 was lost", 1200),
        Warned("checkpoint 3 is damaged"),
        Failed(1, "ValueError", "bad batch", '  File "train.py", line 7', 70),
        Printed(0, "hello"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_the_display_and_the_plain_output_say_it_in_one_sentence(event, capsys):
    out = io.StringIO()
    Display(Console(file=out, width=200, highlight=False), "mnist")(event)
    with Plain() as plain:
        plain(event)
    assert out.getvalue() == capsys.readouterr().out
