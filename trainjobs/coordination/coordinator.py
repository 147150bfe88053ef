"""The coordinator: what a rank's training loop talks to. Rank 0's one decides, all of them stop at the same step."""

from __future__ import annotations

import base64
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from trainjobs.coordination import errors
from trainjobs.coordination.control_thread import ControlThread
from trainjobs.coordination.decision import Decision, Halt, JudgedReport, Vote
from trainjobs.coordination.errors import ExchangeMismatch, HaltedElsewhere
from trainjobs.coordination.evaluation import Evaluator
from trainjobs.coordination.fence import Fence
from trainjobs.coordination.messages import Arrive, Publish, TimeLimit
from trainjobs.coordination.reduction import means, plain
from trainjobs.stopping.observation import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from trainjobs.coordination.communicator import Communicator
    from trainjobs.coordination.errors import RankLost
    from trainjobs.stopping.panel import Panel, Ruling

GRACE_S = 5.0
"""How long rank 0 waits at the end for the others to hang up before its transport goes away."""

ABANDONED_GRACE_S = 0.5
"""The same when rank 0 leaves with an error."""

TIMEOUT_S = 60.0
"""Silence after which a rank is given up: longer than any pause of a healthy process, short beside an epoch."""


def _ignore(lost: RankLost) -> None:
    """Nobody wants to be told."""


class Coordinator:
    """One per rank. The main thread makes all calls but `vote`, `change_panel` and `step`, which any thread may make.

    Every call marked collective is a meeting: all ranks make the same ones in the same order, they wait for each other
    as long as they are alive, and a decision taken meanwhile halts all of them there. Each raises RankLost.
    """

    def __init__(
        self,
        communicator: Communicator,
        panel: Panel,
        *,
        history: Sequence[Observation] = (),
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        on_lost: Callable[[RankLost], None] = _ignore,
    ) -> None:
        """`history` (of a resumed run) is given on every rank, and folded on rank 0.

        `on_lost` is called in the background thread, at once: the main thread may hang in a collective of its own.
        """
        step, seconds = (history[-1].step, history[-1].seconds) if history else (0, 0.0)
        self.rank = communicator.rank
        self.world_size = communicator.world_size
        self._history = list(history)
        self._clock = clock
        self._started = (seconds, clock())
        self._fence = Fence(step, self._at_limit)
        self._fence.limit(panel.limits.steps)
        self.poll = self._fence.poll
        self.count = self._fence.count
        self._evaluator = Evaluator(panel, history, wall) if self.rank == 0 else None
        self._control = ControlThread(
            communicator, self._fence, timeout_s=timeout_s, clock=clock, wall=wall, on_lost=on_lost
        )
        self._set_deadline()

    poll: Callable[[], bool]
    """After every batch, of training or evaluation: True = halt here (and ever after). No lock and no system call,
    unless a halt is being agreed on. Raises RankLost."""
    count: Callable[[], None]
    """After a batch in place of `poll`, where this rank cannot halt: the next poll or collective is where it does."""

    @property
    def step(self) -> int:
        """Training steps finished on this rank."""
        return self._fence.step

    @property
    def decision(self) -> Decision | None:
        """The decision to stop, once this rank knows it; it may still have ticks to go until its halt."""
        return self._fence.participant.decision

    @property
    def halted(self) -> bool:
        """This rank has come to its halt: call `halt` next."""
        return self._fence.halted

    @property
    def history(self) -> tuple[Observation, ...]:
        return tuple(self._history)

    @property
    def votes(self) -> tuple[Vote, ...]:
        """Rank 0: all votes received, the one that counted first. Other ranks: none."""
        return tuple(self._control.leader.votes) if self._control.leader else ()

    @property
    def ruling(self) -> Ruling | None:
        """Rank 0: what the criteria of now say of the whole history. Other ranks: None."""
        return self._evaluator.now() if self._evaluator else None

    @property
    def restores_best(self) -> bool:
        """Rank 0: whether the run is to end with the weights of the best, by the criteria of now. Others: False."""
        return self._evaluator is not None and self._evaluator.restores_best

    def begin(self, step: int, seconds: float | None = None) -> None:
        """From here each poll is one finished training step; `step` are finished, in `seconds` of training so far.

        Collective where a budget of steps is used up already.
        """
        self._fence.begin(step)
        if seconds is not None:
            self._started = (seconds, self._clock())
            self._set_deadline()
        if self._fence.limit_reached:
            self._at_limit()

    def pause(self) -> None:
        """From here polls are no training steps: evaluation, warm-up."""
        self._fence.pause()

    def vote(self, vote: Vote) -> None:
        """Ask for an end. Never blocks and takes no lock: from any thread, or from a signal handler."""
        self._control.post(vote)

    def change_panel(self, panel: Panel) -> None:
        """Rank 0: judge the whole history anew under other criteria; a stop among their verdicts becomes a vote.

        A new limit of steps reaches the ranks at their next meeting. Raises MissingMetric, and changes nothing then.
        """
        if self._evaluator is None:
            raise RuntimeError(f"change_panel on rank {self.rank}: only rank 0 decides")
        ruling = self._evaluator.change(panel)
        self._set_deadline()
        if ruling.stop is not None:
            self.vote(Vote.of_finding(self.rank, ruling.stop))

    def report(
        self,
        epoch: int,
        step: int,
        seconds: float,
        metrics: Mapping[str, tuple[float, float]],
        *,
        whole: bool = True,
        without_data: bool = False,
    ) -> JudgedReport:
        """Collective: reduce `metrics` (name: (sum, weight)) over the ranks, judge them, and learn the decision.

        `without_data`: this rank had no data for some of what the others report; what is absent here counts as (0, 0).
        Step, seconds and `whole` (see `Observation`) are rank 0's. Raises EpochMismatch, MetricMismatch,
        WeightlessMetric, MissingMetric (the same on every rank).
        """
        payload = {
            "epoch": epoch,
            "step": step,
            "seconds": seconds,
            "metrics": plain(metrics),
            "whole": whole,
            "without data": without_data,
        }
        published = self._meet("report", payload)
        if published.decision is not None and "observation" not in published.body:
            return JudgedReport(published.decision, None, None)
        observation = Observation.from_dict(published.body["observation"])
        self._history.append(observation)
        decision = published.decision or Decision.from_dict(published.body["onward"])
        self._started = (observation.seconds, self._clock())
        self._set_deadline()
        ruling = self._evaluator.ruling if self._evaluator else None
        return JudgedReport(
            decision, observation, ruling, published.body["best"], published.body["restore best"]
        )

    def align(self, count: int) -> int:
        """Collective: the smallest `count` of all ranks, for an epoch of as many batches; 0 if the run halts here."""
        published = self._meet("align", count)
        return 0 if published.decision else min(published.body["payloads"])

    def reduce(
        self, metrics: Mapping[str, tuple[float, float]], *, without_data: bool = False
    ) -> dict[str, float]:
        """Collective: `metrics` reduced over the ranks as `report` does it, and judged by nothing.

        Raises MetricMismatch, WeightlessMetric (the same on every rank).
        """
        everyone = self._exchange((plain(metrics), without_data))
        empty = [rank for rank, (_, without) in enumerate(everyone) if without]
        return means([pairs for pairs, _ in everyone], without_data=empty)

    def exchange(self, payload: bytes) -> tuple[bytes, ...]:
        """Collective: everybody's payload, in rank order. Raises HaltedElsewhere."""
        return tuple(base64.b64decode(text) for text in self._exchange(base64.b64encode(payload).decode()))

    def on_rank_0(self, action: Callable[[], object], raises: type[Exception]) -> None:
        """Collective: rank 0 does it. An error of this kind that it raises there, every rank raises alike."""
        error: Exception | None = None
        if self.rank == 0:
            try:
                action()
            except raises as raised:
                error = raised
        told = self._exchange(error and errors.to_dict(error, errors.below(raises)))[0]
        if error is not None:
            raise error
        if told is not None:
            raise errors.from_dict(told, errors.below(raises))

    def halt(self, step: int) -> Halt:
        """Collective: tell where this rank has halted, after `step` training steps, and learn where the others have.

        The first collective after the halt; at the ordinary end of training too, where the decision is None unless
        somebody has voted at the last moment.
        """
        while True:
            published = self._meet("halt", step)
            if set(published.body["calls"]) == {"halt"}:
                return _halt(published)

    def close(self, abandoned: bool = False) -> None:
        """Leave. Before the run is over (no `halt`), the others learn of it at once, as RankLost.

        `abandoned`: an error is on its way out, so do not wait long for the others.
        """
        self._control.close(ABANDONED_GRACE_S if abandoned else GRACE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(abandoned=error is not None)

    def _at_limit(self) -> bool:
        return self._meet("limit", self.step).decision is not None

    def _exchange(self, payload: Any) -> Sequence[Any]:
        """Everybody's payload of JSON, in rank order."""
        published = self._meet("exchange", payload)
        if len(set(published.body["calls"])) > 1:
            raise HaltedElsewhere
        payloads: Sequence[Any] = published.body["payloads"]
        return payloads

    def _meet(self, call: str, payload: Any) -> Publish:
        fence, segment = self._fence, self._fence.participant.segment
        self._control.post(Arrive(segment, call, payload))
        if self._evaluator is not None:
            gathered = fence.wait(lambda: fence.gathered)
            self._control.post(self._evaluator.rule(gathered, self.step))
        published = fence.wait(lambda: fence.published_in(segment))
        fence.limit(published.body["limit"])
        self._raise(published)
        return published

    def _raise(self, published: Publish) -> None:
        if self._evaluator is not None and self._evaluator.error is not None:
            raise self._evaluator.error
        if "error" in published.body:
            raise errors.from_dict(published.body["error"])
        if published.decision is None and len(set(published.body["calls"])) > 1:
            raise ExchangeMismatch(published.body["calls"])

    def _set_deadline(self) -> None:
        """Rank 0: the budget of seconds ends between reports too."""
        if self._evaluator is not None:
            (seconds, at), limits = self._started, self._evaluator.limits
            budget_s = math.inf if limits.seconds is None else limits.seconds
            self._control.post(TimeLimit(budget_s, at + budget_s - seconds, limits.seconds_criterion))


def _halt(published: Publish) -> Halt:
    steps = dict(enumerate(published.body["payloads"]))
    if published.decision is None:
        return Halt(None, steps)
    return Halt(replace(published.decision, halt_at_step=max(steps.values())), steps)
