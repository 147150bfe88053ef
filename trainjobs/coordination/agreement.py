"""How ranks agree on the tick at which all of them halt. Pure state machines: no thread, no clock, no I/O.

A tick is one `poll()`; ticks count from 1 within a segment, and a segment ends where all ranks meet in one call (a
report, for example). Between those meetings nothing travels, unless somebody votes:

1. Rank 0 proposes to halt at tick H, a little ahead of the largest tick it knows.
2. A rank makes H its ceiling first and reads its own tick second; its main thread does `tick += 1` first and reads the
   ceiling second. So, whatever the timing, one of both sees the other. If tick < H the rank accepts: its main thread
   cannot pass H from now on, it waits there. Otherwise it refuses, and says how far it is.
3. All have accepted: rank 0 commits, and each main thread halts when it comes to H. One has refused: rank 0 proposes a
   higher H, which releases those that wait at the old one. No main thread is needed for this, so the wait is short.

A main thread that arrives at a meeting says so to rank 0. When all have arrived, rank 0's main thread rules on what
they brought and rank 0 publishes the result. A decision that is on its way (proposed, or committed for a tick that
nobody or only some have reached) takes effect there: the published decision halts everybody at the meeting. A rank that
has halted at H comes to the same meeting (in the call `halt`), so ranks whose ticks are uneven meet too, and none waits
for ever. Rank 0 takes one decision in its life, so no two ranks can learn different ones.

Answers to a proposal of an older segment or a lower H are ignored. From rank 0 to a rank nothing is ever stale, because
messages between two ranks keep their order and a rank's segment ends only by rank 0's word.

After `RankLostNotice` both machines stand still: the attempt is over, and starts again from its checkpoint.

`tests/unit/coordination/test_agreement.py` runs these very classes through every interleaving of two and three ranks.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trainjobs.coordination.messages import (
    Accept,
    Arrive,
    Commit,
    Evaluated,
    Gathered,
    Propose,
    Publish,
    RankLostNotice,
    Refuse,
    ToParticipant,
)

if TYPE_CHECKING:
    from trainjobs.coordination.decision import Decision

NEVER = sys.maxsize
"""The ceiling of a rank that may run on."""

MARGIN = 2
"""Ticks between the largest tick known and the first proposal. Ranks under DDP differ by about one, and a round takes
about a millisecond: 2 is accepted at once by steps longer than that; shorter ones cost a second round."""

Outgoing = tuple[int, ToParticipant]


@dataclass(frozen=True, slots=True)
class Participant:
    """What one rank has promised and learnt; rank 0 has one too."""

    segment: int = 0
    ceiling: int = NEVER
    """The main thread may not return from a poll() at this tick or above, unless to halt."""
    decision: Decision | None = None
    lost: RankLostNotice | None = None

    def consider(self, proposal: Propose) -> Participant:
        """First half of a proposal: the new ceiling, to be shown to the main thread before its tick is read."""
        return self if self.lost else replace(self, ceiling=proposal.ceiling)

    def answer(self, proposal: Propose, tick: int) -> tuple[Participant, Accept | Refuse | None]:
        """Second half: what to tell rank 0, given the main thread's tick."""
        if self.lost:
            return self, None
        if tick < proposal.ceiling:
            return self, Accept(proposal.segment, proposal.ceiling)
        return replace(self, ceiling=NEVER), Refuse(proposal.segment, proposal.ceiling, tick)

    def commit(self, commit: Commit) -> Participant:
        return self if self.lost else replace(self, decision=commit.decision)

    def publish(self, published: Publish) -> Participant:
        """The next segment; its ticks count from 1. Once decided, every tick is a halt."""
        if self.lost:
            return self
        ceiling = NEVER if published.decision is None else 0
        return replace(self, segment=self.segment + 1, ceiling=ceiling, decision=published.decision)

    def lose(self, notice: RankLostNotice) -> Participant:
        """Its main thread shall learn of the loss at its next poll or where it waits."""
        return self if self.lost else replace(self, ceiling=0, lost=notice)

    def halts(self, tick: int) -> bool:
        return tick >= self.ceiling and self.decision is not None


@dataclass(frozen=True, slots=True)
class Proposer:
    """What rank 0 knows of all. Each event yields the next state and the messages to send, as (rank, message)."""

    world_size: int
    segment: int = 0
    decision: Decision | None = None
    ceiling: int = 0
    """The tick proposed last in this segment; 0: none."""
    accepted: frozenset[int] = frozenset()
    margin: int = MARGIN
    refusals: int = 0
    """Of proposals in this segment; each doubles the margin."""
    arrivals: tuple[tuple[int, Arrive], ...] = ()
    """Ranks whose main threads wait at the end of the segment, in rank order."""
    lost: RankLostNotice | None = None

    def decide(self, decision: Decision, tick: int) -> tuple[Proposer, list[Outgoing]]:
        """A vote has come in while rank 0 is at `tick`. Only the first one counts."""
        if self.decision is not None or self.lost:
            return self, []
        return replace(self, decision=decision)._propose(tick)

    def on_accept(self, rank: int, accept: Accept) -> tuple[Proposer, list[Outgoing]]:
        if self.ignores(accept):
            return self, []
        accepted = self.accepted | {rank}
        state = replace(self, accepted=accepted)
        if len(accepted) < self.world_size or self.decision is None:
            return state, []
        return state, self._to_all(Commit(self.segment, self.ceiling, self.decision))

    def on_refuse(self, rank: int, refuse: Refuse) -> tuple[Proposer, list[Outgoing]]:
        """`rank` is past the proposal: propose a higher tick, with a wider margin."""
        if self.ignores(refuse):
            return self, []
        return replace(self, refusals=self.refusals + 1)._propose(refuse.tick)

    def on_arrive(self, rank: int, arrive: Arrive) -> tuple[Proposer, list[Outgoing]]:
        arrivals = tuple(sorted((*self.arrivals, (rank, arrive)), key=lambda arrival: arrival[0]))
        state = replace(self, arrivals=arrivals)
        if self.lost or len(arrivals) < self.world_size:
            return state, []
        return state, [(0, Gathered(self.segment, tuple(arrival for _, arrival in arrivals)))]

    def on_rule(self, rule: Evaluated) -> tuple[Proposer, list[Outgoing]]:
        """Publish, and begin the next segment."""
        if self.lost:
            return self, []
        decision = self.decision or rule.decision
        published = self._to_all(Publish(self.segment, decision, rule.body))
        return self._next(decision), published

    def lose(self, notice: RankLostNotice) -> tuple[Proposer, list[Outgoing]]:
        """A rank is lost: tell all, itself too, for it may only have been asleep."""
        if self.lost:
            return self, []
        return replace(self, lost=notice), self._to_all(notice)

    def ignores(self, answer: Accept | Refuse) -> bool:
        """It answers something older than the last proposal."""
        return self.lost is not None or (answer.segment, answer.ceiling) != (self.segment, self.ceiling)

    def _next(self, decision: Decision | None) -> Proposer:
        """At the start of a segment."""
        blank: frozenset[int] = frozenset()
        return replace(
            self,
            segment=self.segment + 1,
            decision=decision,
            ceiling=0,
            accepted=blank,
            refusals=0,
            arrivals=(),
        )

    def _propose(self, tick: int) -> tuple[Proposer, list[Outgoing]]:
        """`tick` is the largest one known: who refuses is past every earlier proposal."""
        ceiling = tick + self.margin * 2**self.refusals
        state = replace(self, ceiling=ceiling, accepted=frozenset())
        return state, self._to_all(Propose(self.segment, ceiling))

    def _to_all(self, message: ToParticipant) -> list[Outgoing]:
        return [(rank, message) for rank in range(self.world_size)]
