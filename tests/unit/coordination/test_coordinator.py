"""The coordinator with threads for ranks and an in-memory network."""

import itertools
import math
import queue
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from fake_network import FakeNetwork

from trainjobs.api.stopping import Stopping
from trainjobs.coordination import (
    Coordinator,
    EpochMismatch,
    ExchangeMismatch,
    Halt,
    HaltedElsewhere,
    MetricMismatch,
    Outcome,
    RankLost,
    RulingFailed,
    SingleCommunicator,
    Vote,
    WeightlessMetric,
)
from trainjobs.coordination.messages import Arrive, Goodbye, Heartbeat, Publish, RankLostNotice
from trainjobs.stopping.observation import MissingMetric, Observation
from trainjobs.stopping.panel import Panel

WALL = 1_700_000_000.0
DISK_FULL = Vote(1, Outcome.FAILED, "the disk of rank 1 is full")
ENOUGH = Vote(0, Outcome.STOP_REQUESTED, "good enough")


def panel(*criteria: dict, **fields) -> Panel:
    return Panel.of(Stopping.model_validate({"criteria": list(criteria), **fields}))


PLATEAU = panel({"plateau": {"patience": 1}}, monitor="loss")


def each_rank(world_size, work, criteria=None, *, delay_s=0.0, seed=0, **options):
    """What `work(coordinator)` returns or raises, by rank."""
    network = FakeNetwork(world_size, seed=seed, delay_s=delay_s)
    criteria = criteria or panel()

    def live(communicator):
        with Coordinator(communicator, criteria, wall=lambda: WALL, **options) as coordinator:
            try:
                return work(coordinator)
            except Exception as error:
                return error

    with ThreadPoolExecutor(world_size) as pool:
        return list(pool.map(live, network.communicators, timeout=30))


def train(coordinator, epochs=50, batches=5, pace_s=0.001):
    """A loop with reports; where it has halted, and why."""
    step = 0
    for epoch in range(1, epochs + 1):
        for batch in range(1, batches + 1):
            time.sleep(pace_s)
            step += 1
            if coordinator.poll():
                return (epoch, batch), coordinator.halt(step)
        reported = coordinator.report(epoch, step, step * 1.0, {"loss": (1.0, 1)})
        if reported.decision.stop:
            return (epoch, batches), coordinator.halt(step)
    return (epochs, batches), coordinator.halt(step)


@pytest.mark.parametrize("world_size", [1, 2, 4])
@pytest.mark.parametrize("voter", [0, -1])
@pytest.mark.parametrize("batches", [5, 1000])
def test_a_vote_halts_every_rank_at_one_place_with_one_decision(world_size, voter, batches):
    voter %= world_size

    def work(coordinator):
        if coordinator.rank == voter:
            threading.Timer(0.03, coordinator.vote, [replace(DISK_FULL, rank=voter)]).start()
        return train(coordinator, batches=batches)

    halts = each_rank(world_size, work, delay_s=0.001)
    (place, halt), *others = halts
    assert all(other == (place, halt) for other in others)
    assert halt.decision.outcome == Outcome.FAILED
    assert halt.decision.reason == DISK_FULL.reason
    step = (place[0] - 1) * batches + place[1]
    assert halt.steps == dict.fromkeys(range(world_size), step)
    assert halt.decision.halt_at_step == step
    assert halt.decision.decided_at_step <= step
    assert halt.decision.decided_at == WALL


@pytest.mark.parametrize("world_size", [1, 2, 4, 8])
def test_of_a_report_only_what_leaves_a_process_is_encoded(world_size):
    network = FakeNetwork(world_size)

    def live(communicator):
        with Coordinator(communicator, panel()) as coordinator:
            return coordinator.report(1, 1, 1.0, {"loss": (1.0, 1)}).decision

    with ThreadPoolExecutor(world_size) as pool:
        assert len(set(pool.map(live, network.communicators, timeout=30))) == 1
    travelled = Counter(type(message) for message in network.travelled)
    assert travelled.keys() <= {Arrive, Publish, Heartbeat, Goodbye, RankLostNotice}
    assert travelled[Arrive] == travelled[Publish] == world_size - 1


def test_a_rank_with_something_that_cannot_be_sent_raises_why_and_the_others_learn_of_it_at_once():
    def work(coordinator):
        return coordinator.on_rank_0(lambda: None, Full) or coordinator.align(
            object() if coordinator.rank == 1 else 3
        )

    first, second, third = each_rank(3, work, timeout_s=1000)
    assert isinstance(second, ValueError)
    assert [(type(error), error.rank, error.left) for error in (first, third)] == [(RankLost, 1, True)] * 2


def test_the_first_vote_decides_and_the_others_are_kept():
    def work(coordinator):
        if coordinator.rank == 0:
            coordinator.vote(ENOUGH)
            coordinator.vote(replace(DISK_FULL, rank=0))
        return train(coordinator), coordinator.votes

    (first, votes), (second, none) = each_rank(2, work)
    assert first == second
    assert first[1].decision.reason == ENOUGH.reason
    assert votes == (ENOUGH, replace(DISK_FULL, rank=0))
    assert none == ()


def test_a_criterion_stops_all_ranks_at_the_report_with_its_numbers():
    def work(coordinator):
        place, halt = train(coordinator, pace_s=0.0)
        return place, halt, coordinator.history

    halts = each_rank(3, work, PLATEAU)
    place, halt, history = halts[0]
    assert halts[1:] == [halts[0]] * 2
    assert place == (2, 5)
    assert (halt.decision.criterion, halt.decision.metric, halt.decision.value) == ("plateau", "loss", 1.0)
    assert halt.decision.outcome == Outcome.EARLY_STOPPED
    assert [seen.step for seen in history] == [5, 10]


def test_an_end_without_a_decision_is_no_stop():
    (place, halt), again = each_rank(2, lambda coordinator: train(coordinator, epochs=2))
    assert (place, halt) == again
    assert halt == Halt(None, {0: 10, 1: 10})


def test_polls_go_on_returning_true_after_the_halt():
    def work(coordinator):
        train(coordinator)
        return [coordinator.poll() for _ in range(3)], coordinator.halted

    coordinator_vote = replace(ENOUGH)

    def vote_first(coordinator):
        if coordinator.rank == 0:
            coordinator.vote(coordinator_vote)
        return work(coordinator)

    assert each_rank(2, vote_first) == [([True] * 3, True)] * 2


def test_a_vote_wins_over_a_report_that_would_continue():
    barrier = threading.Barrier(2)

    def work(coordinator):
        coordinator.poll()
        if coordinator.rank == 1:
            coordinator.vote(DISK_FULL)
        barrier.wait()
        reported = coordinator.report(1, 1, 1.0, {"loss": (1.0, 1)})
        return reported.decision, reported.observation, coordinator.halted

    first, second = each_rank(2, work)
    assert first == second
    assert first[0].reason == DISK_FULL.reason
    assert first[1] == Observation(1, 1, 1.0, {"loss": 1.0})
    assert first[2]


def test_ranks_with_uneven_ticks_meet_at_the_report_and_halt_there():
    arrived = threading.Event()

    def work(coordinator):
        if coordinator.rank == 1:
            coordinator.poll()
            arrived.set()
            reported = coordinator.report(1, 1, 1.0, {"loss": (1.0, 1)})
            return reported.observation, reported.decision.reason, coordinator.halt(1).steps
        arrived.wait()
        coordinator.vote(ENOUGH)
        step = 1
        while not coordinator.poll():
            step += 1
        return None, coordinator.decision.reason, coordinator.halt(step).steps

    first, second = each_rank(2, work)
    assert first == second
    assert first[:2] == (None, ENOUGH.reason)
    assert set(first[2]) == {0, 1}


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda coordinator: coordinator.align(9), 0),
        (lambda coordinator: coordinator.exchange(b"state"), HaltedElsewhere()),
    ],
    ids=["align", "exchange"],
)
def test_a_rank_in_another_call_learns_that_the_others_have_halted(call, expected):
    def work(coordinator):
        if coordinator.rank == 1:
            try:
                found = call(coordinator)
            except HaltedElsewhere as error:
                found = error
            assert coordinator.halted
            return found, coordinator.halt(0).decision
        coordinator.vote(ENOUGH)
        while not coordinator.poll():
            pass
        return expected, coordinator.halt(1).decision

    (_, first), (found, second) = each_rank(2, work)
    assert repr(found) == repr(expected)
    assert first.reason == second.reason == ENOUGH.reason


def test_align_is_the_fewest_batches_of_any_rank():
    assert each_rank(3, lambda coordinator: coordinator.align(10 - coordinator.rank)) == [8, 8, 8]


def test_aligning_one_batch_at_a_time_ends_with_the_first_rank_that_has_none():
    def work(coordinator):
        batches = 0
        while coordinator.align(int(batches < 4 - coordinator.rank)):
            batches += 1
            coordinator.poll()
        return batches

    assert each_rank(3, work) == [2, 2, 2]


def test_exchange_gives_everybody_every_payload_in_rank_order():
    found = each_rank(3, lambda coordinator: coordinator.exchange(bytes([0, 255, coordinator.rank])))
    assert found == [(b"\x00\xff\x00", b"\x00\xff\x01", b"\x00\xff\x02")] * 3


@pytest.mark.parametrize("mean", [math.inf, -math.inf, math.nan, 0.1])
def test_a_mean_is_alike_on_every_rank(mean):
    def work(coordinator):
        return coordinator.report(1, 1, 1.0, {"loss": (mean, 1)}).observation.metrics["loss"]

    assert each_rank(2, work) == pytest.approx([mean] * 2, rel=0, abs=0, nan_ok=True)


def _report(epoch=lambda rank: 1, metrics=lambda rank: {"loss": (1.0, 1)}):
    return lambda coordinator: coordinator.report(epoch(coordinator.rank), 1, 1.0, metrics(coordinator.rank))


def test_a_rank_without_data_need_not_report_what_the_others_do():
    def work(coordinator):
        metrics = {"loss": (6.0, 2)} if coordinator.rank == 0 else {}
        return coordinator.report(1, 1, 1.0, metrics, without_data=coordinator.rank == 1).observation.metrics

    assert each_rank(2, work) == [{"loss": 3.0}] * 2


@pytest.mark.parametrize(
    ("of_rank", "without_data"),
    [
        ([{"loss": (6.0, 2)}, {"loss": (0.0, 1)}], [False, False]),
        ([{"loss": (6.0, 2)}, {}], [False, True]),
        ([{}, {"acc": (1.0, 1)}], [False, False]),
        ([{"acc": (1.0, 0)}, {"acc": (0.0, 0)}], [False, False]),
        ([{"loss": (np.float64(1.0), np.int64(2))}, {"loss": (0.0, 1)}], [False, False]),
    ],
    ids=["everywhere", "a rank without data", "a rank without the metric", "no weight", "of numpy"],
)
def test_what_is_measured_at_the_end_is_reduced_as_reports_are(of_rank, without_data):
    def reduced(coordinator):
        rank = coordinator.rank
        return coordinator.reduce(of_rank[rank], without_data=without_data[rank])

    def reported(coordinator):
        rank = coordinator.rank
        answer = coordinator.report(1, 1, 1.0, of_rank[rank], without_data=without_data[rank])
        return answer.observation.metrics

    found, expected = each_rank(2, reduced), each_rank(2, reported)
    assert [repr(each) for each in found] == [repr(each) for each in expected]


class Full(Exception):
    """What a rank may run into."""


class DiskFull(Full):
    """One kind of it, with more than a sentence."""

    def __init__(self, disk, left):
        super().__init__(disk, left)


@pytest.mark.parametrize("error", [None, Full("no more"), DiskFull("/dev/sda1", 0)], ids=repr)
def test_what_rank_0_does_fails_on_every_rank_alike(error):
    done = []

    def write():
        done.append(1)
        if error is not None:
            raise error

    found = each_rank(3, lambda coordinator: coordinator.on_rank_0(write, Full))
    assert done == [1]
    assert [repr(each) for each in found] == [repr(error)] * 3
    assert found[0] is error


def test_an_error_of_another_kind_at_rank_0_is_its_own():
    def work(coordinator):
        coordinator.on_rank_0(lambda: 1 / 0, Full)

    found = each_rank(2, work)
    assert [type(error) for error in found] == [ZeroDivisionError, RankLost]


class BrokenPanel(Panel):
    def fold(self, history, state=None):
        if list(history):
            raise ZeroDivisionError("a criterion of the user's divides by zero")
        return state


ERRORS = [
    (
        _report(metrics=lambda rank: {"acc": (1.0, 1)} if rank else {}),
        PLATEAU,
        MetricMismatch("acc", [1, 2], [0]),
    ),
    (_report(metrics=lambda rank: {"acc": (0.0, 0)}), PLATEAU, WeightlessMetric("acc")),
    (_report(epoch=lambda rank: 1 + rank // 2), PLATEAU, EpochMismatch([1, 1, 2])),
    (
        lambda coordinator: coordinator.align(3) if coordinator.rank else coordinator.exchange(b""),
        PLATEAU,
        ExchangeMismatch(["exchange", "align", "align"]),
    ),
]


@pytest.mark.parametrize(("call", "criteria", "expected"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_at_a_meeting_is_raised_alike_on_every_rank(call, criteria, expected):
    found = each_rank(3, call, criteria)
    assert [(type(error), str(error)) for error in found] == [(type(expected), str(expected))] * 3


def test_a_missing_metric_is_raised_alike_on_every_rank():
    found = each_rank(3, _report(metrics=lambda rank: {"los": (1.0, 1)}), PLATEAU)
    assert {type(error) for error in found} == {MissingMetric}
    assert len({str(error) for error in found}) == 1
    assert 'did you mean "los"' in str(found[0])


def test_an_error_of_a_users_criterion_reaches_the_other_ranks_in_words():
    broken = BrokenPanel((), PLATEAU.limits, None, PLATEAU.improvement)
    first, second = each_rank(2, _report(), broken)
    assert type(first) is ZeroDivisionError
    assert type(second) is RulingFailed
    assert "ZeroDivisionError: a criterion of the user's divides by zero" in str(second)


@pytest.mark.parametrize("steps", [1, 7, 10])
def test_a_budget_of_steps_halts_every_rank_at_exactly_that_step(steps):
    criteria = panel({"budget": {"steps": steps}})

    def work(coordinator):
        step = 0
        while True:
            coordinator.begin(step)
            for _ in range(4):
                step += 1
                if coordinator.poll():
                    return coordinator.halt(step)
            coordinator.pause()
            for _ in range(3 + coordinator.rank):
                assert not coordinator.poll()
            assert coordinator.align(1) == 1

    found = each_rank(2, work, criteria)
    assert found[0] == found[1]
    assert found[0].steps == {0: steps, 1: steps}
    assert found[0].decision.criterion == "budget"
    assert found[0].decision.reason == f"{steps} of {steps} steps are used"


def test_a_resumed_run_counts_its_budget_from_the_history():
    history = (Observation(1, 5, 5.0, {}),)

    def work(coordinator):
        polls = 1
        while not coordinator.poll():
            polls += 1
        return polls, coordinator.halt(coordinator.step).steps

    assert each_rank(2, work, panel({"budget": {"steps": 8}}), history=history) == [(3, {0: 8, 1: 8})] * 2


def test_a_raised_limit_of_steps_is_known_to_all_ranks_after_the_next_meeting():
    changed = threading.Event()

    def work(coordinator):
        for _ in range(2):
            assert not coordinator.poll()
        if coordinator.rank == 0:
            coordinator.change_panel(panel({"budget": {"steps": 6}}))
            changed.set()
        changed.wait()
        while not coordinator.poll():
            pass
        return coordinator.halt(coordinator.step).steps

    assert each_rank(2, work, panel({"budget": {"steps": 3}})) == [{0: 6, 1: 6}] * 2


def test_a_budget_of_seconds_ends_between_reports():
    def work(coordinator):
        coordinator.begin(0, seconds=99.95)
        while not coordinator.poll():
            time.sleep(0.001)
        return coordinator.halt(coordinator.step).decision

    first, second = each_rank(2, work, panel({"budget": {"seconds": 100}}))
    assert first == second
    assert (first.criterion, first.reason) == ("budget", "100 of 100 seconds are used")


def test_a_history_is_folded_again_on_resume():
    history = (Observation(1, 5, 5.0, {"loss": 1.0}),)

    def work(coordinator):
        reported = coordinator.report(2, 10, 10.0, {"loss": (1.0, 1)})
        return reported.decision.criterion, len(coordinator.history), reported.ruling is not None

    assert each_rank(2, work, PLATEAU, history=history) == [("plateau", 2, True), ("plateau", 2, False)]


def test_changed_criteria_judge_the_whole_history_at_once():
    changed = threading.Event()

    def work(coordinator):
        for epoch in (1, 2):
            assert not coordinator.report(epoch, epoch, 1.0, {"loss": (1.0, 1)}).decision.stop
        if coordinator.rank == 0:
            coordinator.change_panel(PLATEAU)
            changed.set()
        while not coordinator.poll():
            time.sleep(0.001)
        return coordinator.halt(coordinator.step).decision

    first, second = each_rank(2, work)
    assert first == second
    assert (first.criterion, first.metric, first.value) == ("plateau", "loss", 1.0)


def test_only_rank_0_changes_criteria():
    assert "only rank 0 decides" in str(each_rank(2, lambda it: it.rank and it.change_panel(PLATEAU))[1])


def test_a_silent_rank_is_named_with_its_last_step_on_all_others():
    network, told, dead = FakeNetwork(3), queue.SimpleQueue(), threading.Event()

    def live(communicator):
        with Coordinator(
            communicator,
            panel(),
            timeout_s=0.6,
            on_lost=lambda lost: told.put((communicator.rank, lost.rank)),
        ) as coordinator:
            for _ in range(4):
                coordinator.poll()
            if coordinator.rank == 2:
                time.sleep(0.3)
                network.cut(2)
                dead.wait()
                return None
            with pytest.raises(RankLost) as caught:
                coordinator.report(1, 4, 1.0, {})
            return caught.value

    with ThreadPoolExecutor(3) as pool:
        lives = [pool.submit(live, communicator) for communicator in network.communicators]
        lost = [life.result(30) for life in lives[:2]]
        dead.set()
        lives[2].result(30)
    assert [(error.rank, error.last_step, error.left) for error in lost] == [(2, 4, False)] * 2
    assert {(0, 2), (1, 2)} <= {told.get(timeout=5) for _ in range(told.qsize())}
    assert str(lost[0]).startswith("rank 2 has not been heard of for 0.6 s (last at step 4)")


def test_ranks_miss_rank_0_too():
    network, dead = FakeNetwork(2), threading.Event()

    def live(communicator):
        with Coordinator(communicator, panel(), timeout_s=0.3) as coordinator:
            if coordinator.rank == 0:
                network.cut(0)
                dead.wait()
                return None
            with pytest.raises(RankLost) as caught:
                all(not coordinator.poll() for _ in itertools.count())
            return caught.value.rank

    with ThreadPoolExecutor(2) as pool:
        lives = [pool.submit(live, communicator) for communicator in network.communicators]
        assert lives[1].result(30) == 0
        dead.set()


def test_a_slow_rank_is_not_a_lost_one():
    def work(coordinator):
        if coordinator.rank == 1:
            time.sleep(0.7)
        return coordinator.align(1)

    assert each_rank(2, work, timeout_s=0.2) == [1, 1]


@pytest.mark.parametrize("leaver", [0, 1])
def test_a_rank_that_leaves_with_an_error_is_named_at_once(leaver):
    network = FakeNetwork(3)

    def live(communicator):
        try:
            with Coordinator(communicator, panel(), timeout_s=1000) as coordinator:
                coordinator.poll()
                if coordinator.rank == leaver:
                    raise ZeroDivisionError
                coordinator.align(1)
        except (RankLost, ZeroDivisionError) as error:
            return error

    with ThreadPoolExecutor(3) as pool:
        errors = list(pool.map(live, network.communicators, timeout=30))
    assert type(errors.pop(leaver)) is ZeroDivisionError
    assert [(error.rank, error.last_step, error.left) for error in errors] == [(leaver, 1, True)] * 2
    assert str(errors[0]).startswith(f"rank {leaver} left at step 1")


def test_a_vote_after_the_end_is_kept_and_changes_nothing():
    def work(coordinator):
        halt = coordinator.halt(3)
        coordinator.vote(ENOUGH)
        return halt.decision, coordinator.exchange(b""), coordinator.decision

    assert each_rank(1, work) == [(None, (b"",), None)]


def test_a_signal_handler_may_vote_while_the_main_thread_is_inside_the_coordinator():
    coordinator = Coordinator(SingleCommunicator(), panel())
    previous = signal.signal(
        signal.SIGALRM, lambda *_: coordinator.vote(Vote(0, Outcome.INTERRUPTED, "SIGALRM"))
    )
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for _ in range(200):
            coordinator.exchange(b"x")
        signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert coordinator.halted
    assert coordinator.halt(0).decision.outcome == Outcome.INTERRUPTED
    assert {vote.reason for vote in coordinator.votes} == {"SIGALRM"}
    coordinator.close()


def test_no_thread_outlives_the_coordinator():
    before = threading.active_count()
    each_rank(3, lambda coordinator: coordinator.halt(0))
    assert threading.active_count() == before
