"""The local launcher: where a rank runs, what it finds there, and that nothing of a run outlives it."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

import earlier
import psutil
import pytest
import torch
from processes import PATIENCE_S, TRAINJOBS, until

from trainjobs.driver.forkserver import PRELOAD, ForkServer, ServerLost
from trainjobs.driver.launcher import StartFailed
from trainjobs.driver.local_launcher import LocalWorkers
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.events import Printed
from trainjobs.runs.share import Share

SUPPORT = Path(__file__).parent.parent / "support"

SURROUNDINGS = """
import json, os, sys

import torch


def train(run):
    before = [name for name in sys.modules if name.split(".")[0] == "ray"]
    import ray.train
    import ray.train.collective
    import ray.train.torch

    context = ray.train.get_context()
    from_rank_0 = ray.train.collective.broadcast_from_rank_zero(f"of rank {run.rank}")
    ray.train.collective.barrier()
    print(json.dumps({
        "rank": run.rank,
        "context": [context.get_world_rank(), context.get_world_size(), context.get_local_rank()],
        "broadcast": from_rank_0,
        "device": str(ray.train.torch.get_device()),
        "imported before": before,
        "cwd": os.getcwd(),
        "variables": {name: os.environ.get(name) for name in ("MINE", "RANK", "WORLD_SIZE", "LOCAL_RANK",
                      "LOCAL_WORLD_SIZE", "MASTER_ADDR")},
        "nice": os.nice(0),
        "threads": torch.get_num_threads(),
        "input": sys.stdin.read(),
    }))
    for epoch in run.epochs():
        run.report(loss=1.0)
"""
FAMILY = """
import time
import subprocess
from multiprocessing import get_context
from pathlib import Path


def train(run):
    get_context("fork").Process(target=time.sleep, args=(600,), daemon=True).start()
    subprocess.Popen(["sleep", "600"], start_new_session=False)
    for epoch in run.epochs():
        for _ in run.steps(range(run.config["steps"])):
            time.sleep(0.01)
        run.report(loss=1.0)
"""
LINGERING = """
import time
from multiprocessing import get_context

import torch.distributed as dist


def train(run):
    for epoch in run.epochs():
        run.report(loss=1.0)
    get_context("fork").Process(target=time.sleep, args=(600,)).start()
    {then}
"""
ADVERSARIES = """
import time
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset


def await_a_signal(run, here=Path("here")):
    if run.config["halt"] and run.step == 7 and not here.exists():
        here.touch()
        while not run._loop.coordinator.decision:
            time.sleep(0.005)


def train(run):
    torch.manual_seed(0)
    makes = run.prepare_model(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4)))
    judges = run.prepare_model(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.2), nn.Linear(4, 1)))
    made, judged = (torch.optim.Adam(model.parameters(), 0.01) for model in (makes, judges))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=4)
    run.track(makes=makes, judges=judges, made=made, judged=judged, scaler=scaler)
    data = TensorDataset(torch.randn(40, 4, generator=torch.Generator().manual_seed(1)))
    loader = run.prepare_loader(data, batch_size=8, shuffle=True, num_workers=2, persistent_workers=True)
    for epoch in run.epochs():
        for (x,) in run.steps(loader):
            noise = torch.randn_like(x)
            loss = (judges(makes(noise).detach()).square() + (judges(x) - 1).square()).mean()
            judged.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(judged)
            made.zero_grad()
            scaler.scale((judges(makes(noise)) - 1).square().mean()).backward()
            scaler.step(made)
            scaler.update()
            run.log(loss=loss.detach())
            await_a_signal(run)
        run.report(scale=scaler.get_scale())
"""
MANIFEST = """
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: tiny}
spec:
  trainer: {entrypoint: code:train, maxEpochs: 1, numProcPerNode: 2, config: {steps: 5}}
  stopping: {monitor: loss}
"""


@pytest.fixture
def desk(tmp_path):
    """A directory with a manifest in a folder of its own."""
    (tmp_path / "job").mkdir()
    (tmp_path / "job/trainjob.yaml").write_text(MANIFEST)
    return tmp_path


def start(desk, code, *options, command=(sys.executable, SUPPORT / "localcli.py"), **environment):
    """The command, with a server that imports less unless `command` is the real one."""
    (desk / "job/code.py").write_text(code)
    return subprocess.Popen(
        [*command, "run", "job/trainjob.yaml", "--output", "json", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=desk,
        env={**os.environ, **environment},
        start_new_session=True,
    )


def until_started(process):
    for line in process.stdout:
        if json.loads(line)["event"] in {"Progress", "Reported"}:
            return
    pytest.fail(process.stderr.read())


def of_session(leader):
    """Processes that carry the mark of one command in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MINE") == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_a_rank_runs_where_the_command_was_called_and_finds_itself_in_ray_train_and_torchruns_variables(desk):
    process = start(desk, SURROUNDINGS, command=[TRAINJOBS], MINE="yes", OMP_NUM_THREADS="2")
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    events = RunDirectory(desk / "runs/tiny").events()
    found = sorted(
        (json.loads(e.text) for e in events if isinstance(e, Printed) and e.text.startswith("{")),
        key=lambda one: one["rank"],
    )
    ours = {"MINE": "yes", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    assert found == [
        {
            "rank": rank,
            "context": [rank, 2, rank],
            "broadcast": "of rank 0",
            "device": "cpu",
            "imported before": [],
            "cwd": str(desk),
            "variables": {**ours, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            "nice": os.nice(0),
            "threads": 2,
            "input": "",
        }
        for rank in (0, 1)
    ]


def test_a_variable_of_the_manifest_is_there_before_anything_reads_it(desk):
    """Of those that are read once, OpenMP's is the one that shows without a GPU; the command's own says otherwise."""
    manifest = MANIFEST.replace("{entrypoint", '{env: [{name: OMP_NUM_THREADS, value: "3"}], entrypoint')
    (desk / "job/trainjob.yaml").write_text(manifest)
    process = start(desk, SURROUNDINGS, OMP_NUM_THREADS="1")
    process.communicate(timeout=PATIENCE_S)
    events = RunDirectory(desk / "runs/tiny").events()
    found = [json.loads(e.text) for e in events if isinstance(e, Printed) and e.text.startswith("{")]
    assert [one["threads"] for one in found] == [3, 3]


ENDS = {
    "its end": (),
    "SIGKILL of the command": (signal.SIGKILL,),
    "Ctrl-C twice": (signal.SIGINT, signal.SIGINT),
    "Ctrl-C": (signal.SIGINT,),
}


@pytest.mark.parametrize("signals", ENDS.values(), ids=ENDS)
def test_no_process_is_left_after(signals, desk):
    steps = 100_000 if signals else 5
    mark = str(desk)
    process = start(desk, FAMILY, "--set", f"spec.trainer.config.steps={steps}", MINE=mark)
    until_started(process)
    if signals:
        until(lambda: len(of_session(mark)) >= 2 + 2 * 3)
    for number in signals:
        os.killpg(process.pid, number)  # as a terminal does
        if number != signals[-1]:
            assert "Ctrl-C again leaves at once" in process.stderr.readline()
    process.communicate(timeout=PATIENCE_S)
    assert psutil.wait_procs(of_session(mark), timeout=PATIENCE_S)[1] == []


@pytest.mark.parametrize(
    ("then", "code", "message"),
    [("dist.destroy_process_group()", 0, "trained all 1 epoch"), ("raise ValueError('mine')", 70, "mine")],
)
def test_a_rank_that_waits_at_its_exit_for_ever_is_ended_and_what_it_did_stands(desk, then, code, message):
    options = ["--set", "spec.progressDeadlineSeconds=6", "--set", "spec.trainer.numProcPerNode=1"]
    process = start(desk, LINGERING.format(then=then), *options, MINE=str(desk))
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    result = RunDirectory(desk / "runs/tiny").result()
    assert [condition["message"] for condition in result["conditions"]] == [message]
    assert of_session(str(desk)) == []


def test_ctrl_c_amid_an_epoch_changes_nothing_for_two_models_with_one_scaler_and_workers_that_load(desk):
    def trained(run_dir, *options):
        options = ("--run-dir", run_dir, "--set", "spec.trainer.numProcPerNode=1", *options)
        return start(desk, ADVERSARIES, "--set", "spec.trainer.maxEpochs=3", *options)

    def outcome(run_dir):
        model = torch.load(desk / run_dir / "model.pt", weights_only=True)
        weights = {(part, name): value.tolist() for part, own in model.items() for name, value in own.items()}
        return weights, [(seen.step, dict(seen.metrics)) for seen in RunDirectory(desk / run_dir).history()]

    halts = ("--set", "spec.trainer.config.halt=true")
    trained("whole", "--set", "spec.trainer.config.halt=false").communicate(timeout=PATIENCE_S)
    process = trained("broken", *halts)
    until((desk / "here").exists)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert "Ctrl-C again leaves at once" in process.stderr.readline()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 75
    trained("broken", "--resume", *halts).communicate(timeout=PATIENCE_S)
    assert outcome("broken") == outcome("whole")


def test_no_process_is_left_of_a_command_that_does_not_train(desk):
    process = start(desk, FAMILY, "--set", "spec.trainer.entrypoint=code:nothing", MINE=str(desk))
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode not in (0, None)
    assert of_session(str(desk)) == []


def test_a_server_that_cannot_come_up_says_why():
    workers = LocalWorkers(ForkServer(["torhc"]))
    with pytest.raises(
        StartFailed, match="ended with exit code 1: ModuleNotFoundError: No module named 'torhc'"
    ):
        workers.__enter__()
    workers.__exit__()


def test_a_server_that_was_killed_is_replaced(tmp_path):
    server = ForkServer(["json", "still"])
    (tmp_path / "still.py").write_text("def train_rank(*_): pass")
    sys.path.insert(0, str(tmp_path))
    try:
        assert server.train(Share.whole(2), b"") == {}
        psutil.Process(server._process.pid).kill()
        server._process.wait()
        assert server.train(Share.whole(2), b"") == {}
    finally:
        sys.path.remove(str(tmp_path))
        server.close()


def test_a_run_that_an_earlier_version_halted_is_trained_on(tmp_path):
    runs = earlier.unpacked(tmp_path)
    (runs / "trainjob.yaml").write_text((runs / "halted" / "trainjob.yaml").read_text())
    more = ["--set", "spec.trainer.maxEpochs=25", "--run-dir", "halted", "--resume"]
    subprocess.run([TRAINJOBS, "run", "trainjob.yaml", *more], cwd=runs, check=True, capture_output=True)
    trained = RunDirectory(runs / "halted").history()
    assert [seen.epoch for seen in trained] == list(range(1, 26))
    assert trained[-1].step == 50


LIVES = """
import atexit, os, signal, subprocess, time
from pathlib import Path


def leave_a_daemon():
    up, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.write(told, b"1")
        time.sleep(600)
    os.read(up, 1)


class Unprintable(Exception):
    def __getattribute__(self, name):
        raise OSError(name)


def fail():
    raise Unprintable


def wait(*_):
    Path(os.environ["MINE"], str(os.getpid())).touch()
    time.sleep(600)


LIVES = {
    "return": lambda: None,
    "exit": lambda: os._exit(0),
    "raise what nobody can print": fail,
    "crash at its exit": lambda: atexit.register(os._exit, 3),
    "wait": wait,
    "leave its group and wait": lambda: wait(os.setpgid(0, os.getpgid(os.getppid()))),
    "leave a daemon": leave_a_daemon,
    "leave a daemon and wait": lambda: wait(leave_a_daemon()),
    "start a child and wait": lambda: wait(subprocess.Popen(["sleep", "600"])),
}


def train_rank(setup, rank, share, listener):
    LIVES[setup[rank]]()
"""
TEAMS = {
    ("return", "crash at its exit"): {},
    ("exit", "wait"): {0: 0},
    ("raise what nobody can print", "wait"): {0: 1},
    ("exit", "leave its group and wait"): {0: 0},
    ("return", "leave a daemon"): {},
}


@pytest.fixture
def lives(tmp_path, monkeypatch):
    """A server whose ranks live as they are told; one that waits makes a file in its mark."""
    (tmp_path / "lives.py").write_text(LIVES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MINE", str(tmp_path / "waiting"))
    (tmp_path / "waiting").mkdir()
    with closing(ForkServer(["lives"])) as server:
        yield server


@pytest.mark.parametrize(("team", "failures"), TEAMS.items(), ids=map(" and ".join, TEAMS))
def test_a_rank_that_ends_before_it_is_done_has_failed_and_none_leaves_a_process(lives, team, failures):
    assert lives.train(Share.whole(len(team)), team) == failures
    assert [process.pid for process in of_session(os.environ["MINE"])] == [lives._process.pid]


@pytest.mark.parametrize("life", ["leave a daemon and wait", "start a child and wait"])
def test_no_process_is_left_of_a_team_whose_owner_leaves(lives, life):
    training = in_a_thread(lives, life)
    lives.close()
    training.join()
    assert of_session(os.environ["MINE"]) == []


def test_no_process_is_left_of_a_server_that_was_killed(lives):
    training = in_a_thread(lives, "start a child and wait")
    psutil.Process(lives._process.pid).kill()
    training.join()
    assert psutil.wait_procs(of_session(os.environ["MINE"]), timeout=PATIENCE_S)[1] == []


def in_a_thread(server, life):
    """A team of one rank, which waits now, until it ends."""

    def train():
        with suppress(ServerLost):
            server.train(Share.whole(1), (life,))

    thread = threading.Thread(target=train, daemon=True)
    thread.start()
    until(lambda: list(Path(os.environ["MINE"]).iterdir()))
    return thread


@pytest.mark.skipif(not torch.backends.cuda.is_built(), reason="this torch is built without CUDA")
@pytest.mark.parametrize("more", [(), ("reaches_for_cuda",)], ids=["ours", "reaching"])
def test_what_the_ranks_are_forked_from_has_not_reached_for_cuda(more):
    with closing(ForkServer((*PRELOAD, *more, "cuda_after_fork"))) as server:
        assert server.train(Share.whole(1), None) == {}


def test_a_package_is_imported_before_the_fork_with_the_variables_that_a_rank_will_have(
    tmp_path, monkeypatch
):
    """They are gone afterwards: the rank sets its own, when it would have."""
    (tmp_path / "reads_environment.py").write_text(
        "import os\nfound = os.environ.get('FLAVOUR')\nos.environ['LEFT'] = 'by the package'\n"
    )
    (tmp_path / "tells_environment.py").write_text(
        "import os, reads_environment\n"
        "def train_rank(setup, *rank):\n"
        "    assert (reads_environment.found, os.environ.get('FLAVOUR')) == ('plain', None)\n"
        "    assert os.environ['LEFT'] == 'by the package'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with closing(ForkServer(("reads_environment", "tells_environment"), {"FLAVOUR": "plain"})) as server:
        assert server.train(Share.whole(1), None) == {}
