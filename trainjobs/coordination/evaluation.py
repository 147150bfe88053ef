"""What rank 0's main thread does at a meeting: reduce, fold, decide."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainjobs.coordination import errors
from trainjobs.coordination.decision import Decision, Outcome, Vote
from trainjobs.coordination.messages import Arrive, Evaluated, Gathered
from trainjobs.coordination.reduction import means, same_epoch
from trainjobs.stopping.observation import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trainjobs.stopping.panel import Limits, Panel, Ruling

Body = dict[str, Any]


class Evaluator:
    """Holds the panel and the history it has folded. `change` may come from another thread."""

    def __init__(self, panel: Panel, history: Sequence[Observation], wall: Callable[[], float]) -> None:
        self._panel = panel
        self._history = list(history)
        self._state = panel.fold(self._history)
        self._wall = wall
        self._lock = threading.Lock()
        self.ruling: Ruling | None = None
        """On the report that was ruled on last."""
        self.error: Exception | None = None
        """What the panel raised then, as it was raised."""

    @property
    def limits(self) -> Limits:
        return self._panel.limits

    @property
    def restores_best(self) -> bool:
        return self._panel.restore_best

    def now(self) -> Ruling:
        """What the criteria of now say of the whole history."""
        with self._lock:
            return self._panel.judge(self._state)

    def change(self, panel: Panel) -> Ruling:
        """Fold the whole history again under other criteria."""
        with self._lock:
            state = panel.fold(self._history)
            ruling = panel.judge(state)
            self._panel, self._state = panel, state
            return ruling

    def rule(self, gathered: Gathered, step: int) -> Evaluated:
        """What to publish. `step`: training steps that rank 0 has finished."""
        self.ruling = self.error = None
        calls = [arrive.call for arrive in gathered.arrivals]
        with self._lock:
            try:
                decision, body = self._conclude(gathered.arrivals, calls, step)
            except Exception as error:
                self.error = error
                decision, body = None, {"error": errors.to_dict(error)}
            return Evaluated(
                gathered.segment, decision, {"limit": self._panel.limits.steps, "calls": calls, **body}
            )

    def _conclude(
        self, arrivals: Sequence[Arrive], calls: Sequence[str], step: int
    ) -> tuple[Decision | None, Body]:
        if "limit" in calls:
            return self._at_limit(max(arrive.payload for arrive in arrivals if arrive.call == "limit")), {}
        if calls == ["report"] * len(calls):
            return self._on_report([arrive.payload for arrive in arrivals], step)
        return None, {"payloads": [arrive.payload for arrive in arrivals]}

    def _at_limit(self, step: int) -> Decision | None:
        """A rank has come to the limit of steps, which may have been raised since the ranks were told of it."""
        limits = self._panel.limits
        if limits.steps is None or step < limits.steps:
            return None
        reason = f"{step} of {limits.steps} steps are used"
        return Decision.of_vote(
            Vote(0, Outcome.EARLY_STOPPED, reason, limits.steps_criterion), step, self._wall()
        )

    def _on_report(self, reports: Sequence[Mapping[str, Any]], step: int) -> tuple[Decision | None, Body]:
        observation = Observation(
            epoch=same_epoch([report["epoch"] for report in reports]),
            step=reports[0]["step"],
            seconds=reports[0]["seconds"],
            metrics=means(
                [report["metrics"] for report in reports],
                without_data=[rank for rank, report in enumerate(reports) if report["without data"]],
            ),
            whole=reports[0]["whole"],
        )
        state = self._panel.fold([observation], self._state)
        ruling = self.ruling = self._panel.judge(state)
        self._state = state
        self._history.append(observation)
        now = self._wall()
        decision = (
            None if ruling.stop is None else Decision.of_vote(Vote.of_finding(0, ruling.stop), step, now)
        )
        onward = Decision.to_continue(ruling.waiting, step, now)
        best = ruling.best is not None and ruling.best.report == len(self._history)
        return decision, {
            "observation": observation.to_dict(),
            "onward": onward.to_dict(),
            "best": best,
            "restore best": self._panel.restore_best,
        }
