"""`report`: a run, several, or a sweep as one file of HTML."""

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kept_sweeps import PARAMETERS, kept_sweep
from page_reader import data_of, read_page
from typer.testing import CliRunner

from manifests import job
from trainjobs.cli.app import app
from trainjobs.cli.pages.run_page import ToldRun, run_page
from trainjobs.cli.pages.runs_page import runs_page
from trainjobs.cli.pages.sweep_page import sweep_page
from trainjobs.coordination import Outcome
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Failed, Restarting, Started
from trainjobs.stopping import Observation

BROWSER = shutil.which("chromium")
HOSTILE = "</script></style><img src=//x onerror=alert(1)>\"'&lt;<!--\u202e"


def report(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def words(page):
    """The text of a page, its space made even."""
    return " ".join(" ".join(read_page(page).texts).split())


@pytest.fixture
def sweep(tmp_path):
    return kept_sweep(tmp_path / "sweeps/digits-sweep", 6, 8)


# --- what is on a page --------------------------------------------------------------------------------------------


def test_the_page_of_a_run_says_what_explain_says(recording):
    recording.early_stop()
    done = report("mnist")
    assert (done.exit_code, done.stderr) == (0, "")
    assert re.fullmatch(r"report\.html: \d+ kB; open it in a browser\n", done.stdout)
    page = Path("report.html").read_text()
    for said in (
        "Stopped early by plateau after epoch 13 of 100, at step 910",
        "val_loss 0.412 has not improved on 0.398 (epoch 8) by more than 0.001 for 5 reports",
        "Best val_loss 0.3975 epoch 11",
        "Saved 87 epochs about 6 min 32 s on each of 2 workers (an estimate against your own maxEpochs 100)",
        "test loss 0.405 after the end",
        "plateau stopped the run 5/5",
        "quick shadow, met 2/2 Would have stopped the run at epoch 10: val_loss 0.4 has not improved",
        "budget held back held back at epoch 13 by startAfter epoch 50",
        "hidden 128",
        "87 epochs never trained",
    ):
        assert said in words(page)


def test_a_run_has_a_chart_for_each_measure_the_monitored_one_first(recording):
    recording.early_stop()
    data = data_of(run_page(ToldRun.read(recording.place)))
    assert [[line["name"] for line in chart["lines"]] for chart in data["charts"]] == [
        ["train", "val"],
        ["val_accuracy"],
    ]
    assert data["charts"][0]["lines"][1]["y"][-2:] == [0.401, 0.412]


def test_gpu_seconds_are_those_of_the_result(recording, monkeypatch):
    recording.job = job(
        "mnist", trainer={"resourcesPerNode": {"limits": {"nvidia.com/gpu": 1}}, "numNodes": 2}
    )
    monkeypatch.setattr(recording, "beginning", lambda: [Started(1, 2, "cuda", None, 0, 100)])
    recording.job = recording.job.model_copy(
        update={"spec": recording.job.spec.model_copy(update={"stopping": _mnist().spec.stopping})}
    )
    recording.early_stop()
    seconds = recording.place.result()["accounting"]["gpuSecondsSaved"]
    assert seconds == pytest.approx(2 * 391.5)
    assert "GPU time saved 13 min 3 s" in words(run_page(ToldRun.read(recording.place)))


def _mnist():
    from trainjobs.api.manifest import load

    return load(Path("mnist.yaml"))


def test_attempts_are_told_where_there_are_several(recording):
    recording.play(
        [
            *recording.beginning(),
            *recording.reports((0.9, 0.61)),
            Failed(1, "RankLost", "rank 1 is gone", "", 1),
            Restarting(2, "rank 1 is gone", 140, 1),
            Started(
                2, 2, "cpu", 140, 2, 100, tuple(e.observation for e in recording.reports((0.9, 0.61))[1::2])
            ),
            *recording.stop(Outcome.INTERRUPTED, "Ctrl-C received", 152),
        ]
    )
    text = words(run_page(ToldRun.read(recording.place)))
    assert "Attempts attempt workers began ended 1 2 on cpu anew rank 1: RankLost: rank 1 is gone" in text
    assert "2 2 on cpu at step 140 step 152 on all 2 ranks: Ctrl-C received" in text


@pytest.mark.parametrize("ended", ["by_steps", "interrupt", "fail", "early_stop"])
def test_every_end_of_a_run_has_a_page(recording, ended):
    getattr(recording, ended)()
    page = read_page(run_page(ToldRun.read(recording.place)))
    assert page.tags.count("h1") == 1
    assert page.tags.count("figure") >= 2


def test_a_run_that_has_not_reported_has_a_page(recording):
    recording.play(recording.beginning(), close=False)
    assert "Nothing was reported." in words(run_page(ToldRun.read(recording.place)))


def test_several_runs_are_laid_over_each_other_with_what_differs(recording):
    recording.early_stop()
    for name, rate in (("a", 0.1), ("b", 0.2)):
        place = RunDirectory(Path("runs") / name)
        place.create()
        place.write_job(job(name, trainer={"config": {"rate": rate}}))
        place.write_history([Observation(i, i * 70, i * 1.0, {"val_loss": rate / i}) for i in range(1, 9)])
    page = runs_page([ToldRun.read(RunDirectory(Path("runs") / name)) for name in ("mnist", "a", "b")])
    charts = data_of(page)["charts"]
    assert [line["name"] for line in charts[0]["lines"]] == ["mnist", "a", "b"]
    assert (
        "Outcomes run best trained time saved outcome mnist 0.3975 val_loss, epoch 11 13 of 100 epochs"
        in words(page)
    )
    assert "rate 0.1 0.2" in words(page)


def test_runs_of_epochs_and_runs_of_steps_share_an_axis_of_steps(recording, tmp_path):
    recording.early_stop()
    other = RunDirectory(tmp_path / "by-steps")
    other.create()
    other.write_job(job("by-steps", trainer={"maxEpochs": None, "maxSteps": 5000}))
    other.write_history(
        [Observation(1, i * 100, i * 1.0, {"val_loss": 1 / i}, whole=False) for i in range(1, 9)]
    )
    (chart, *_) = data_of(runs_page([ToldRun.read(recording.place), ToldRun.read(other)]))["charts"]
    assert (chart["unit"], [line["x"][-1] for line in chart["lines"]]) == ("step", [910, 800])


def test_runs_of_one_name_are_told_apart_by_their_places(recording, tmp_path):
    for name in ("one", "two"):
        recording.place = RunDirectory(tmp_path / name)
        recording.early_stop()
    page = runs_page([ToldRun.read(RunDirectory(tmp_path / name)) for name in ("one", "two")])
    assert [line["name"] for line in data_of(page)["charts"][0]["lines"]] == ["one", "two"]


def test_the_page_of_a_sweep_has_every_trial_and_the_best(sweep, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert report("digits-sweep", "-o", "sweep.html").exit_code == 0
    page = Path("sweep.html").read_text()
    best = sweep.table(sweep.sweep().spec.objective).best
    assert f"Trial {best.name} is the best of 6" in words(page)
    read, lines = read_page(page), data_of(page)["charts"][0]["lines"]
    assert len(lines) == 6
    assert len({row["data-trial"] for row in read.all("tr") if "data-trial" in row}) == 6
    assert [row["data-trial"] for row in read.all("tr") if row.get("class") == "best"] == [
        str(int(best.name) - 1)
    ]
    faded = [path["data-trial"] for path in read.all("path") if path["class"] == "line faded"]
    assert len(faded) == sweep.table(sweep.sweep().spec.objective).counts["Pruned"]


def test_a_sweep_that_has_just_begun_has_a_page(sweep):
    (sweep.path / "trials.jsonl").unlink()
    (sweep.path / "result.json").unlink()
    assert "0 trials, none with a val_loss" in words(sweep_page(sweep))


# --- the file -----------------------------------------------------------------------------------------------------


def test_an_earlier_report_is_replaced_and_nothing_else_is(recording):
    recording.early_stop()
    assert report("mnist").exit_code == report("mnist").exit_code == 0
    done = report("mnist", "-o", "runs/mnist/trainjob.yaml")
    assert done.exit_code == 73
    assert (
        "runs/mnist/trainjob.yaml: is there already and no report; name another file with -o" in done.stderr
    )
    assert recording.place.job()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nowhere"], 66, "nowhere: no such run directory"),
        (["mnist", "-o", "runs"], 64, "runs: is a directory; name a file in it, such as runs/report.html"),
        (["mnist", "-o", "none/report.html"], 66, "writing none/report.html"),
        (["mnist", "-o", "/dev/null"], 65, "/dev/null"),
        (["mnist", "sweeps/s"], 64, "sweeps/s: is a sweep, which has a page of its own"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(recording, arguments, code, said):
    recording.early_stop()
    Path("sweeps/s").mkdir(parents=True)
    Path("sweeps/s/sweep.yaml").touch()
    done = report(*arguments)
    assert done.exit_code == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


# --- nothing leaves it, nothing gets in ---------------------------------------------------------------------------


def every_page(recording, sweep):
    recording.early_stop()
    return [
        run_page(ToldRun.read(recording.place)),
        runs_page([ToldRun.read(recording.place)] * 2),
        sweep_page(sweep),
    ]


def test_no_page_asks_another_place_for_anything(recording, sweep):
    for page in every_page(recording, sweep):
        read = read_page(page)
        assert [*read.attribute("src"), *read.attribute("href")] == ["data:,"]
        assert not {"style", "srcset", "action", "poster", "data", "background"} & {
            name for _, given in read.elements for name in given
        }
        assert not re.search(r"url\((?!#)|@import|https?://|fetch\(|XMLHttp|WebSocket|sendBeacon", page)
        (policy,) = [
            m["content"] for m in read.all("meta") if m.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policy.startswith("default-src 'none'; ")
        assert "unsafe" not in policy


@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
def test_a_browser_takes_style_and_script_under_the_policy_and_complains_of_nothing(sweep, tmp_path):
    file = tmp_path / "page.html"
    file.write_text(sweep_page(sweep))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command = [BROWSER, *flags, f"--user-data-dir={tmp_path}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    read = read_page(done.stdout)
    assert "CONSOLE" not in done.stderr
    assert read.tags.count("button") == 6 + len(PARAMETERS)
    assert [given["hidden"] for _, given in read.elements if given.get("class") == "tip"] == [""]


def hostile(text):
    """A run that has this text wherever another process has written one, and the numbers beside it."""
    name = f"m{text}"
    return (
        job(
            "run",
            trainer={"config": {f"c{text}": text, "nested": {f"d{text}": [text]}}},
            stopping={"monitor": name, "criteria": [{"threshold": {"value": -1, "mode": "min"}}]},
        ),
        [Started(1, 1, f"cpu{text}", None, 0, 100), Failed(0, f"E{text}", f"f{text}", f"t{text}", 70)],
        name,
    )


def page_of(tmp_path, text, numbers=(0.5, 0.25)):
    place = RunDirectory(tmp_path / "hostile")
    place.create()
    manifest, events, name = hostile(text)
    place.write_job(manifest)
    place.write_history(
        [Observation(i, i * 7, i * 1.0, {name: v, "other": -v}) for i, v in enumerate(numbers, 1)]
    )
    (place.path / "events.jsonl").unlink(missing_ok=True)
    for event in events:
        place.append_event(event)
    return run_page(ToldRun.read(place))


FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40))
@example(HOSTILE)
@example("${style}$$")
def test_no_text_becomes_markup(tmp_path, text):
    read, plain = read_page(page_of(tmp_path, text)), read_page(page_of(tmp_path, "plain"))
    assert read.tags == plain.tags
    assert [set(given) for _, given in read.elements] == [set(given) for _, given in plain.elements]
    assert len(read.all("script")) == 2


@FEW
@given(st.lists(st.floats(), min_size=1, max_size=12))
@example([math.nan])
@example([math.inf, -math.inf])
@example([1.7e308, -1.7e308, 5e-324, 0.0])
@example([1e-320, 1e300])
def test_any_numbers_are_drawn_inside_the_plot(tmp_path, numbers):
    page = read_page(page_of(tmp_path, "", numbers))
    for path in page.attribute("d"):
        places = [float(place) for place in re.findall(r"[-\d.]+", path)]
        assert all(0 <= place <= 1000 for place in places)
        assert not re.search("nan|inf|e", path)
    for name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height"):
        assert all(re.fullmatch(r"-?\d+(\.\d+)?%?", value) for value in page.attribute(name))


def test_a_hostile_trial_is_text_like_any_other(tmp_path):
    unquoted = HOSTILE.replace('"', "")
    name = f'/spec.trainer.config["{unquoted}"]'
    parameters = {name: {"choice": [f"x{HOSTILE}", "y", 3]}, "lr": {"uniform": {"min": 0, "max": 1}}}
    bad = kept_sweep(tmp_path / "bad", 5, 4, parameters=parameters)
    good = kept_sweep(
        tmp_path / "good", 5, 4, parameters={"a": {"choice": ["x", "y", 3]}, "lr": parameters["lr"]}
    )
    with (bad.path / "trials.jsonl").open("a") as file:
        ended = {"trial": "0001", "state": "Pruned", "epoch": 10**15, "objective": "inf", "reason": HOSTILE}
        file.write(json.dumps({**ended, "seconds": 1e300, "saved_epochs": 10**30}) + "\n")
    assert set(read_page(sweep_page(bad)).tags) == set(read_page(sweep_page(good)).tags)
    assert len(read_page(sweep_page(bad)).all("script")) == 2


# --- size ---------------------------------------------------------------------------------------------------------


def test_a_hundred_trials_of_a_hundred_epochs_are_a_small_file(tmp_path):
    page = sweep_page(kept_sweep(tmp_path, 100, 100))
    assert len(page.encode()) < 500_000


def test_a_run_of_a_hundred_thousand_reports_is_a_small_file(tmp_path):
    place = RunDirectory(tmp_path)
    place.write_job(job(trainer={"maxEpochs": 200_000}))
    place.write_history(Observation(i, i, i * 0.1, {"loss": 1 / i}) for i in range(1, 100_001))
    page = run_page(ToldRun.read(place))
    assert len(page.encode()) < 200_000
    assert "Values (every 400th of 100,000 reports)" in words(page)
