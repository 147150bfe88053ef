"""Whatever happens between the operator and the API server, a TrainJob or TrainSweep ends as if nothing had happened.

Every scenario is run once undisturbed, and then again with each fault; `faults/seam.py` says what they are. All runs
of a test go on at the same time, each with operators and an object of its own.
"""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any, ClassVar

import pytest
from faults.recording import Recording
from faults.scenarios import SCENARIOS, finish
from faults.seam import Fault, Kill, Late, Miss, Refuse, Seam, TimeOut
from faults.trial import MakeOperator, Scenario, Stage, Trial, Undisturbed
from installed import connected
from testbed.controlplane import ControlPlane
from testbed.fakenodes import NAMESPACE_ANNOTATIONS, FakeNodes
from testbed.kubectl import RESTRICTED, Kubectl

from trainjob_operator.app import Operator, Options
from trainjob_operator.trainjob.reconcile import TrainJobReconciler
from trainjobs.kube.client import KubeClient
from trainjobs.kube.transport import ApiError, connect

AT_ONCE = 24
"""Trials that go on at the same time; most of their time they wait for the Job controller."""

OBJECTS = ("trainjobs", "trainsweeps")
CONFLICT = ApiError(409, "Conflict", "the object has been modified")

serial = itertools.count()


@pytest.fixture(scope="module")
def stage(crds: Kubectl, control_plane: ControlPlane, fake_nodes: FakeNodes) -> Iterator[Stage]:
    """A namespace in which everything happens."""
    fake_nodes.add(8)
    crds.create_namespace("faults", RESTRICTED, NAMESPACE_ANNOTATIONS)
    transport = connect(str(crds.kubeconfig), connections=8 * AT_ONCE)
    recording = Recording(KubeClient(transport))
    recording.start()
    with connected(control_plane, "trainjobs-operator", connections=8 * AT_ONCE) as shipped:
        yield Stage(transport, shipped, recording, "faults")
    recording.stop()
    crds("delete", "namespace", "faults", "--wait=false")
    transport.close()


@pytest.fixture(scope="module")
def undisturbed(stage: Stage) -> dict[Scenario, Undisturbed]:
    """Every scenario's end without a fault."""
    trials = [Trial(stage, scenario, named(scenario)) for scenario in SCENARIOS]
    with ThreadPoolExecutor(len(trials)) as pool:
        return dict(zip(SCENARIOS, pool.map(Trial.undisturbed, trials), strict=True))


def assert_alike(trials: list[Trial], undisturbed: dict[Scenario, Undisturbed]) -> None:
    problems = differing(trials, undisturbed)
    assert not problems, "\n".join(problems)


def places(stories: dict[Scenario, tuple[str, ...]]) -> list[tuple[Scenario, int]]:
    """Each scenario and the number of each thing that happens in it, but for beginnings that two have in common."""
    beginnings = {
        story[:length]: (scenario, length)
        for scenario, story in stories.items()
        for length in range(1, len(story) + 1)
    }
    return sorted(beginnings.values(), key=lambda place: (place[0].__name__, place[1]))


def named(scenario: Scenario) -> str:
    return f"{scenario.__name__.replace('_', '-')}-{next(serial)}"


def differing(trials: list[Trial], undisturbed: dict[Scenario, Undisturbed]) -> list[str]:
    """Run all of them; what differs in those that ended otherwise than without their fault."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda trial: trial.problems(undisturbed[trial.scenario]), trials)
        problems = list(zip(trials, found, strict=True))
    struck = sum(trial.fault.struck > 0 for trial in trials)
    assert struck >= 0.8 * len(trials), f"only {struck} of {len(trials)} faults took place"
    return [f"{trial.name}, {trial.fault}: {line}" for trial, lines in problems for line in lines][:40]


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_operator_killed_at_any_write_is_followed_by_one_that_ends_the_same(stage, undisturbed, when):
    writes = {scenario: end.writes for scenario, end in undisturbed.items()}
    trials = [Trial(stage, scenario, named(scenario), Kill(when, nth)) for scenario, nth in places(writes)]
    assert_alike(trials, undisturbed)


def test_whichever_event_is_missed_the_end_is_the_same(stage, undisturbed):
    events = {scenario: end.events for scenario, end in undisturbed.items()}
    trials = [Trial(stage, scenario, named(scenario), Miss(nth)) for scenario, nth in places(events)]
    assert_alike(trials, undisturbed)


@pytest.mark.parametrize("late", [OBJECTS, ("jobs",), (*OBJECTS, "jobs")], ids="+".join)
def test_a_stale_cache_leads_to_the_same_end(stage, undisturbed, late):
    trials = [Trial(stage, scenario, named(scenario), Late(*late)) for scenario in undisturbed]
    assert_alike(trials, undisturbed)


def test_an_api_server_that_refuses_a_fifth_of_all_requests_leads_to_the_same_end(stage, undisturbed):
    errors = (
        CONFLICT,
        ApiError(429, "TooManyRequests", "try again later", retry_after_s=1),
        ApiError(500, "InternalError", "etcd has no leader"),
        ApiError(403, "Forbidden", "not yet"),
    )
    faults = [Refuse(error, seed) for seed in range(len(SCENARIOS)) for error in errors]
    faults += [TimeOut(seed) for seed in range(len(SCENARIOS))]
    trials = [
        Trial(stage, scenario, named(scenario), fault)
        for fault, scenario in zip(faults, itertools.cycle(SCENARIOS), strict=False)
    ]
    assert_alike(trials, undisturbed)


def test_two_operators_that_both_lead_come_to_the_same_end(stage, undisturbed):
    trials = [Trial(stage, scenario, named(scenario), Late(), operators=2) for scenario in undisturbed]
    assert_alike(trials, undisturbed)


class JobFirst(TrainJobReconciler):
    """An error planted: what stands around a Job is made after it, so an operator that ends between leaves it out."""

    def _plan(self, observed, key):
        plan = super()._plan(observed, key)
        return replace(plan, create=plan.create[::-1])


class Restless(TrainJobReconciler):
    """An error planted: the status is written on each pass, changed or not."""

    def _plan(self, observed, key):
        plan = super()._plan(observed, key)
        return replace(plan, status=plan.status or {"observedGeneration": 1})


class Forgetful(TrainJobReconciler):
    """An error planted: memory instead of a look at what is there; what was sent counts as done."""

    sent: ClassVar[set[tuple[Any, str]]] = set()

    def _write_status(self, status, raw, key, now):
        what = (key, str([each["reason"] for each in status.get("conditions", ())]))
        if what in self.sent:
            return False
        self.sent.add(what)
        return super()._write_status(status, raw, key, now)


def with_reconciler(kind: type[TrainJobReconciler]) -> MakeOperator:
    def make(seam: Seam, options: Options) -> Operator:
        operator = Operator(seam, options)
        trainjobs, _ = operator.controllers
        own = trainjobs.reconciler
        trainjobs.reconciler = kind(*(getattr(own, each.name) for each in fields(own)))
        return operator

    return make


def edge_triggered(seam: Seam, options: Options) -> Operator:
    """An error planted: only events lead to work, and what a list brings is kept but not looked at."""
    operator = Operator(seam, options)
    for reflector in operator.controllers[0].reflectors:
        known = reflector._cache.replace
        reflector._cache.replace = lambda *listing, known=known: known(*listing) and set()
    return operator


@pytest.mark.parametrize(
    ("make", "faults"),
    [
        (with_reconciler(JobFirst), [Kill("after", 1)]),
        (with_reconciler(Restless), [Fault()]),
        (with_reconciler(Forgetful), [Refuse(CONFLICT, seed, share=0.5) for seed in range(4)]),
        (edge_triggered, [Miss(nth) for nth in range(1, 7)]),
    ],
    ids=["job first", "restless", "forgetful", "edge-triggered"],
)
def test_an_error_planted_in_the_operator_is_found(stage, undisturbed, make, faults):
    planted = replace(stage, make=make, patience_s=4, step_s=8)
    trials = [Trial(planted, finish, named(finish), fault) for fault in faults]
    with ThreadPoolExecutor(len(trials)) as pool:
        assert any(pool.map(lambda trial: trial.problems(undisturbed[finish]), trials))
