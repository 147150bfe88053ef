"""Criteria made of criteria: `all`, `atLeast` and `not`.

Every member sees every observation (unless its own gate is closed) and the members' verdicts of the same
moment are combined. A member that has no opinion, because it has seen nothing or its gate is closed, is
neither for nor against a stop: the combination decides only if that member could not change it (three-valued
logic: Kleene, Introduction to Metamathematics, 1952, section 64).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from trainjobs.stopping.earliest import Earliest, Pace, nth
from trainjobs.stopping.fold import Fold
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.verdict import Verdict

States: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Stops when `count` members say stop; `all` is the case of as many as there are members."""

    count: int
    members: tuple[Fold[Any], ...]

    def start(self) -> States:
        return tuple(member.start() for member in self.members)

    def update(self, state: States, seen: Observation) -> States:
        return tuple(member.update(inner, seen) for member, inner in zip(self.members, state, strict=True))

    def judge(self, state: States) -> Verdict:
        verdicts = [member.judge(inner) for member, inner in zip(self.members, state, strict=True)]
        stopping = [verdict for verdict in verdicts if verdict.stop]
        open_ones = [verdict for verdict in verdicts if verdict.undecided]
        stop = len(stopping) >= self.count
        undecided = not stop and len(stopping) + len(open_ones) >= self.count
        named = (stopping or verdicts)[0]
        return replace(
            named,
            stop=stop,
            reason=self._reason(stopping, verdicts),
            closeness=sorted((verdict.closeness for verdict in verdicts), reverse=True)[self.count - 1],
            waiting=f"{len(stopping)}/{self.count}",
            undecided=undecided,
            gated=next((verdict.gated for verdict in open_ones if undecided), None),
        )

    def stops(self, state: States) -> bool:
        stopping = [member.stops(inner) for member, inner in zip(self.members, state, strict=True)]
        return sum(stopping) >= self.count

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        """It goes on once so many say so that too few are left for a stop."""
        members = [member.earliest(first, pace, stop=stop) for member in self.members]
        return nth(members, self.count if stop else len(members) - self.count + 1)

    def _reason(self, stopping: Sequence[Verdict], verdicts: Sequence[Verdict]) -> str:
        counted = f"{len(stopping)} of {len(verdicts)} say stop"
        if len(stopping) >= self.count:
            return f"{counted}: {_sentences(stopping)}"
        return f"{counted}, {self.count} needed: {_sentences(verdicts)}"


@dataclass(frozen=True, slots=True)
class Not:
    """Stops when its member, having an opinion, would not."""

    member: Fold[Any]

    def start(self) -> Any:
        return self.member.start()

    def update(self, state: Any, seen: Observation) -> Any:
        return self.member.update(state, seen)

    def judge(self, state: Any) -> Verdict:
        verdict = self.member.judge(state)
        if verdict.undecided:
            return verdict
        stop = not verdict.stop
        return replace(
            verdict,
            stop=stop,
            reason=f"what `not` holds would {'go on' if stop else 'stop'}: {verdict.reason}",
            closeness=float(stop),
            waiting=f"{int(stop)}/1",
        )

    def stops(self, state: Any) -> bool:
        return self.judge(state).stop

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        return self.member.earliest(first, pace, stop=not stop)


def _sentences(verdicts: Sequence[Verdict]) -> str:
    return "; ".join(verdict.reason for verdict in verdicts)
