"""Real processes, real messages, a real gloo all-reduce in every step as in DDP: all ranks halt at one step.

This file is also what the processes run: `python test_one_step.py <work> <rank> <world size> <rendezvous file>`.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from trainjobs.coordination import Outcome, RankLost, Vote

SEED = 20261121
SCHEDULES = {2: 140, 4: 70}
TIMEOUT_S = 2.0
SOON_S = 20.0
"""After the time-out by what a busy machine takes, and long before any other one: the ranks' own is a minute."""
PATIENCE_S = 500
LOSSES = [("SIGKILL", 3), ("SIGSTOP", 2), ("SIGKILL", 0)]
"""One after the other, in one job; rank 0 last."""
STEPS_BEFORE_THE_END = 30
ENVIRONMENT = {
    "GLOO_SOCKET_IFNAME": "lo",
    "OMP_NUM_THREADS": "1",
    # torch asks the name server for the name of every peer, and waits 5 s when the answer is lost.
    "RES_OPTIONS": "timeout:1 attempts:5",
}


@dataclass(frozen=True)
class Schedule:
    """One run, drawn at random; every rank draws the same."""

    epochs: int
    batches: tuple[int, ...]
    """Of each rank; they are trimmed with `feed`."""
    feed: str
    evaluations: int
    together: bool
    """An all-reduce in each step; without it, ranks drift apart."""
    delays_s: tuple[float, ...]
    """Longest delay of a step, by rank."""
    votes: tuple[tuple[int, float], ...]
    """(rank, seconds after the start); negative: from the training loop itself, at that step."""


def draw(world_size: int, index: int) -> Schedule:
    dice = random.Random(f"{SEED}/{world_size}/{index}")
    feed = dice.choice(["even", "even", "align", "one by one"])
    batches = dice.randrange(1, 25)
    uneven = [batches + dice.randrange(4) for _ in range(world_size)]
    votes = [
        (dice.randrange(world_size), dice.choice([dice.uniform(0, 0.05), -float(dice.randrange(1, 40))]))
        for _ in range(dice.choice([0, 1, 1, 1, 2, 4]))
    ]
    return Schedule(
        epochs=dice.randrange(1, 4),
        batches=(batches,) * world_size if feed == "even" else tuple(uneven),
        feed=feed,
        evaluations=dice.choice([0, 0, 5]),
        together=dice.random() < 0.75,
        delays_s=tuple(dice.choice([0.0, 0.0003, 0.001, 0.003]) for _ in range(world_size)),
        votes=tuple(votes),
    )


# What a process does. torch comes in here only: the parent does not need it.


class Process:
    """One rank that runs a schedule."""

    def __init__(self, rank: int, schedule: Schedule, coordinator, all_reduce) -> None:
        self.rank = rank
        self.schedule = schedule
        self.coordinator = coordinator
        self.all_reduce = all_reduce
        self.dice = random.Random(f"{SEED}/{rank}")
        self.step = 0

    def run(self) -> dict:
        timers = [
            threading.Timer(after_s, self.vote, [f"{after_s}"])
            for rank, after_s in self.schedule.votes
            if rank == self.rank and after_s >= 0
        ]
        for timer in timers:
            timer.start()
        place = self.train()
        halt = self.coordinator.halt(self.step)
        for timer in timers:
            timer.cancel()
        return {"place": place, "decision": halt.decision and halt.decision.to_dict(), "steps": halt.steps}

    def vote(self, reason: str) -> None:
        self.coordinator.vote(Vote(self.rank, Outcome.STOP_REQUESTED, reason))

    def train(self) -> str:
        for epoch in range(self.schedule.epochs):
            self.coordinator.begin(self.step)
            for batch in self.batches():
                self.train_batch()
                if self.coordinator.poll():
                    return f"epoch {epoch} batch {batch}"
            if self.coordinator.halted:
                return f"epoch {epoch} feed"
            self.coordinator.pause()
            for batch in range(self.schedule.evaluations):
                self.delay()
                if self.coordinator.poll():
                    return f"epoch {epoch} evaluation {batch}"
            reported = self.coordinator.report(epoch, self.step, 0.0, {"loss": (float(self.rank), 1)})
            if reported.decision.stop:
                return f"epoch {epoch} report"
        return "the end"

    def batches(self):
        mine = self.schedule.batches[self.rank]
        if self.schedule.feed == "align":
            mine = self.coordinator.align(mine)
        batch = 0
        while (
            batch < mine if self.schedule.feed != "one by one" else self.coordinator.align(int(batch < mine))
        ):
            yield batch
            batch += 1

    def train_batch(self) -> None:
        self.delay()
        if self.schedule.together:
            self.all_reduce()
        self.step += 1
        if (self.rank, -float(self.step)) in self.schedule.votes:
            self.vote(f"step {self.step}")

    def delay(self) -> None:
        longest_s = self.schedule.delays_s[self.rank]
        if longest_s:
            time.sleep(self.dice.uniform(0, longest_s))


def work(what: str, rank: int, world_size: int, rendezvous: str) -> None:
    {"schedules": run_schedules, "losses": run_losses}[what](rank, world_size, rendezvous)


@contextlib.contextmanager
def coordinated(rank: int, world_size: int, broadcast, **options):
    from trainjobs.api.stopping import Stopping
    from trainjobs.coordination import Coordinator
    from trainjobs.runtime.torch_mailbox import TorchCommunicator
    from trainjobs.stopping.panel import Panel

    communicator = TorchCommunicator.connect(rank, world_size, broadcast, b"key", host="127.0.0.1")
    with Coordinator(communicator, Panel.of(Stopping()), **options) as coordinator:
        yield coordinator


def run_schedules(rank: int, world_size: int, rendezvous: str) -> None:
    import torch
    import torch.distributed as dist

    def broadcast(text: str | None) -> str:
        texts = [text]
        dist.broadcast_object_list(texts, src=0)
        return texts[0]

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world_size)
    gradient = torch.ones(8)
    for index in range(SCHEDULES[world_size]):
        with coordinated(rank, world_size, broadcast) as coordinator:
            dist.barrier()
            run = Process(rank, draw(world_size, index), coordinator, lambda: dist.all_reduce(gradient))
            say(run.run())
    dist.destroy_process_group()


def run_losses(rank: int, world_size: int, rendezvous: str) -> None:
    """Steps of all ranks, then one is killed, while the others wait in a report; then the same without that one."""
    for _, victim in LOSSES:
        broadcast = in_a_file(Path(f"{rendezvous}-{victim}"))
        with coordinated(rank, world_size, broadcast, timeout_s=TIMEOUT_S, on_lost=told) as coordinator:
            for _ in range(STEPS_BEFORE_THE_END):
                coordinator.poll()
            time.sleep(TIMEOUT_S / 3)
            say("ready")
            if rank == victim:
                signal.pause()
            try:
                coordinator.report(1, coordinator.step, 0.0, {})
            except RankLost as lost:
                say({"raised": [lost.rank, lost.last_step]})
        world_size -= 1


def told(lost: RankLost) -> None:
    say({"told": [lost.rank, lost.last_step]})


def in_a_file(path: Path):
    def broadcast(text: str | None) -> str:
        if text is not None:
            path.with_suffix(".new").write_text(text)
            path.with_suffix(".new").rename(path)
        while not path.exists():
            time.sleep(0.01)
        return path.read_text()

    return broadcast


def say(something) -> None:
    """One line, in one piece, from whichever thread."""
    os.write(1, f"{json.dumps(something)}\n".encode())


# The tests.


@pytest.fixture
def started(tmp_path):
    """Start the ranks of one job; none outlives the test."""
    processes = []

    def start(what: str, world_size: int) -> list[subprocess.Popen]:
        for rank in range(world_size):
            processes.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        __file__,
                        what,
                        str(rank),
                        str(world_size),
                        str(tmp_path / "rendezvous"),
                    ],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    env=os.environ | ENVIRONMENT,
                )
            )
        return processes

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("world_size", SCHEDULES)
def test_every_rank_halts_at_one_step_for_one_reason_in_every_schedule(started, world_size):
    processes = started("schedules", world_size)
    outputs = [process.communicate(timeout=PATIENCE_S) for process in processes]
    assert [
        (process.returncode, errors) for process, (_, errors) in zip(processes, outputs, strict=True)
    ] == [(0, "")] * world_size
    schedules = list(
        zip(*([json.loads(line) for line in lines.splitlines()] for lines, _ in outputs), strict=True)
    )
    assert len(schedules) == SCHEDULES[world_size]
    for index, (first, *others) in enumerate(schedules):
        assert others == [first] * (world_size - 1), draw(world_size, index)
        assert len(set(first["steps"].values())) == 1, draw(world_size, index)
        assert (first["decision"] is None) <= (first["place"] == "the end"), draw(world_size, index)
    places = [first["place"] for first, *_ in schedules]
    assert sum("batch" in place for place in places) > SCHEDULES[world_size] / 4


def test_a_rank_that_is_gone_is_named_with_its_last_step_within_the_timeout(started):
    processes = started("losses", len(LOSSES) + 1)
    for end, victim in LOSSES:
        for process in processes:
            assert json.loads(process.stdout.readline()) == "ready"
        processes[victim].send_signal(signal.Signals[end])
        killed = time.monotonic()
        survivors = [process for rank, process in enumerate(processes) if rank != victim]
        for process in survivors:
            said = sorted((json.loads(process.stdout.readline()) for _ in range(2)), key=str)
            assert said == [
                {"raised": [victim, STEPS_BEFORE_THE_END]},
                {"told": [victim, STEPS_BEFORE_THE_END]},
            ]
        assert time.monotonic() - killed < SOON_S
        processes = survivors
    assert processes[0].wait(PATIENCE_S) == 0


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), str(Path(sys.argv[4])))
