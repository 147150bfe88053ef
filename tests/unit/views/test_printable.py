"""Nothing that a manifest, a curve or a training function holds reaches a terminal as a control character."""

import io
import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from manifests import manifest
from trainjobs.cli.app import app
from trainjobs.cli.rendering.console import Printing
from trainjobs.cli.rendering.display import Display
from trainjobs.coordination import Decision, Outcome
from trainjobs.runs.events import (
    CriterionResult,
    Decided,
    Failed,
    Halted,
    Printed,
    Reported,
    Restarting,
    Started,
    Warned,
)
from trainjobs.stopping import Best, Observation
from trainjobs.views.plain import Plain
from trainjobs.views.printable import coloured, on_one_line, printable, uncoloured

RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
HOSTILE = st.text(
    st.sampled_from("a\x1b[]2J;0m\x07\x9b\x7f\x00\r\x85\u202e\u2066\u200f\u2028")
    | st.characters(codec="utf-8"),
    min_size=1,
)
CLEAR = "\x1b[2J\x1b]0;owned\x07\x9b31m\x7f\u202eab"
each_text = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("text", "shown", "in_a_pipe", "on_a_terminal"),
    [
        ("val_loss 0.5 ✓ é 損失", "val_loss 0.5 ✓ é 損失", "val_loss 0.5 ✓ é 損失", "val_loss 0.5 ✓ é 損失"),
        ("a\tb\nc", "a\tb\nc", "a\tb\nc", "a\tb\nc"),
        ("\x1b[2J", "\\x1b[2J", "\\x1b[2J", "\\x1b[2J"),
        ("\x1b[1;31mred\x1b[0m", "\\x1b[1;31mred\\x1b[0m", "red", "\x1b[1;31mred\x1b[0m"),
        ("\x9b2J\x7f\r", "\\x9b2J\\x7f\\x0d", "\\x9b2J\\x7f\\x0d", "\\x9b2J\\x7f\\x0d"),
        ("\u202eevil", "\\u202eevil", "\\u202eevil", "\\u202eevil"),
        ("\udcff", "\\udcff", "\\udcff", "\\udcff"),
    ],
)
def test_what_would_do_something_is_written_out(text, shown, in_a_pipe, on_a_terminal):
    assert (printable(text), uncoloured(text), coloured(text)) == (shown, in_a_pipe, on_a_terminal)


def written(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout + done.stderr


def hostile(text):
    """Ours with the text in every place that is free, and in one that is not."""
    trainer = {"entrypoint": text, "maxEpochs": text, "config": {text: text}}
    stopping = {"monitor": text, "criteria": [{"name": text, "plateau": {"patience": 1, text: 1}}]}
    return {text: 1, **manifest(text, trainer=trainer, stopping=stopping), "kind": text}


@each_text
@given(text=HOSTILE)
@example(text=CLEAR)
def test_of_a_manifest(recording, text):
    Path("hostile.yaml").write_text(yaml.dump(hostile(text), allow_unicode=True), encoding="utf-8")
    Path("raw.yaml").write_text(f"kind: {text}\n? {text}\n", encoding="utf-8", errors="replace")
    for file in ("hostile.yaml", "raw.yaml"):
        for command in (("validate", file), ("validate", file, "-o", "json"), ("run", file)):
            assert not RAW.search(written(*command))
    assert not RAW.search(written("run", "mnist.yaml", "--set", f"{text}={text}"))


@each_text
@given(text=HOSTILE)
@example(text=CLEAR)
def test_of_a_curve_and_a_path(recording, text):
    name = re.sub("[/\x00]", "", text)[:40].encode(errors="replace").decode() or "a"
    Path("curve.csv").write_text(f'"{text}",loss\n1,0.5\n{text},0.4\n', encoding="utf-8", errors="replace")
    criteria = {
        "monitor": "loss",
        "criteria": [{"name": "a", "threshold": {"monitor": text, "mode": "min", "value": 0}}],
    }
    Path("criteria.yaml").write_text(yaml.dump(criteria, allow_unicode=True), encoding="utf-8")
    assert not RAW.search(written("replay", "curve.csv", "-c", "criteria.yaml"))
    assert not RAW.search(written("replay", f"{name}.csv", "-c", "criteria.yaml"))
    assert not RAW.search(written("explain", f"x{name}"))


def happened(text):
    told = CriterionResult(text, "plateau", True, None, 1.0, text, text, True)
    best = Best(text, 0.5, 1, 5, 1)
    decision = Decision(Outcome.EARLY_STOPPED, text, text, text, 0.5, None, None, 5, 5, 1.0)
    return [
        Started(1, 2, text, None, 0, 3),
        Printed(0, text),
        Warned(text),
        Reported(Observation(1, 5, 1.0, {text: 0.5}), (told,), best, text),
        Restarting(2, text, 5),
        Decided(decision),
        Halted(decision, {0: 5, 1: 5}, 1.0),
        Failed(1, "ValueError", text, f"  File {text}", 70),
    ]


@each_text
@given(text=HOSTILE)
@example(text=CLEAR)
def test_of_a_run(recording, capsys, text):
    recording.play(happened(text), close=False)
    with Plain() as view:
        for event in happened(text):
            view(event)
    assert not RAW.search(capsys.readouterr().out)
    for command in (("explain", "runs/mnist"), ("explain", "runs/mnist", "-o", "json")):
        assert not RAW.search(written(*command))
    json.loads(written("explain", "runs/mnist", "-o", "json"))


@each_text
@given(text=HOSTILE)
@example(text=CLEAR)
def test_of_the_live_display(text):
    """A pipe, so that rich itself writes no control characters."""
    out = io.StringIO()
    with Display(Printing(file=out, width=80, highlight=False, markup=False), "mnist") as display:
        for event in happened(text):
            display(event)
    assert not RAW.search(out.getvalue())


def test_colours_of_a_training_function_reach_a_terminal_and_no_log(capsys):
    out = io.StringIO()
    console = Printing(file=out, width=80, force_terminal=True, color_system="standard", _environ={})
    with Display(console, "mnist") as display:
        display(Printed(0, "\x1b[31mred\x1b[0m \x1b[2J"))
    assert "\x1b[31mred\x1b[0m \\x1b[2J" in out.getvalue()
    with Plain() as view:
        view(Printed(0, "\x1b[31mred\x1b[0m \x1b[2J"))
    assert capsys.readouterr().out == "[rank 0] red \\x1b[2J\n"


def test_what_is_for_one_line_breaks_none():
    assert on_one_line("loss\nteam/forged  Complete\t\x1b[2J\r\n") == r"loss team/forged Complete \x1b[2J\x0d"
