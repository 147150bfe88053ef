"""The agreement explored exhaustively: every interleaving of main threads, background threads and messages.

The states explored hold the real Participant and Proposer. Around them, a model of what the coordinator does with
threads: per rank a main thread that runs a program (t: a tick, r: a report, then the halt or the end), a background
thread that handles one message at a time, and a channel to and from rank 0. The two halves of a proposal (write the
ceiling, read the tick) are separate steps; those of a poll (write the tick, read the ceiling) are too where `split`
says so, else one, because writing the tick and writing the ceiling commute. A vote may reach rank 0 at any moment, one
rank may crash or be given up wrongly at any moment, and rank 0's panel may stop at any report.

To keep the number of states small without losing behaviours:
- Local transitions are computed once by the real classes and then looked up: a state is a tuple of small numbers.
- A step that nobody else can tell apart from its later self is taken at once: arriving at a meeting and leaving it, and
  rank 0's taking note of an arrival or an acceptance that is not the last one.
- Without rank 0, or after it has given up, no rank hears of another: they take their last steps one after the other.
- Ranks other than 0 that run the same program are alike: only the first of them has faults.
- What cannot matter any more is forgotten: all but its halt of a rank that is dead or has ended, and its mail.
"""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pytest

from trainjobs.coordination import agreement
from trainjobs.coordination.agreement import NEVER, Participant, Proposer
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
)

RUN, TICKED, MEET, RULED, DONE, LOST, DEAD = ["run", "ticked", "meet", "ruled", "done", "lost", "dead"]
ENDED = {DONE, LOST, DEAD}
CRITERION = "criterion"
GONE = RankLostNotice(1, 0, False)


class Rank(NamedTuple):
    """One rank: its two threads and what they share. Participants and messages are numbers: see `Model.objects`."""

    participant: int
    half: int = -1
    """The proposal whose ceiling is written, while the tick is yet to be read; -1: none."""
    status: str = RUN
    at: int = 0
    """Place in the program."""
    tick: int = 0
    segment: int = 0
    """Of the meeting it waits in."""
    gathered: int = -1
    committed: int = NEVER
    """The tick at which it has been told to halt."""
    place: Any = None
    """Where it halted: (segment, tick, decision), tick -1 at a meeting."""


class State(NamedTuple):
    proposer: int
    over: bool
    votes: int
    """How many more may come."""
    faults: int
    """How many more may happen."""
    ranks: tuple[Rank, ...]
    to_zero: tuple[tuple[int, ...], ...]
    """Messages on their way from each rank to rank 0."""
    from_zero: tuple[tuple[int, ...], ...]


class Broken(AssertionError):
    """A promise is broken in a reachable state."""


@dataclass
class Model:
    """All behaviours of ranks that run `programs`."""

    programs: tuple[str, ...]
    votes: int = 1
    faults: int = 0
    panel_stops: bool = False
    participant: type[Participant] = Participant
    proposer: type[Proposer] = Proposer
    margin: int = 1
    split: bool = False
    """Write the tick and read the ceiling in two steps (else in one; see the top of the file)."""
    objects: list[Any] = field(default_factory=list)
    codes: dict[Any, int] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict)

    @property
    def even(self) -> bool:
        return len(set(self.programs)) == 1

    def code(self, thing: Any) -> int:
        if thing not in self.codes:
            self.codes[thing] = len(self.objects)
            self.objects.append(thing)
        return self.codes[thing]

    def initial(self) -> State:
        world_size = len(self.programs)
        empty = ((),) * world_size
        proposer = self.code(self.proposer(world_size, margin=self.margin))
        ranks = (Rank(self.code(self.participant())),) * world_size
        return State(proposer, False, self.votes, self.faults, ranks, empty, empty)

    # What can happen next.

    def progress(self, state: State) -> list[State]:
        """What happens by itself."""
        found = []
        apart = state.ranks[0].status == DEAD or self.objects[state.proposer].lost
        for rank, it in enumerate(state.ranks):
            if it.status not in ENDED:
                found += self.main(state, rank, it)
            if it.status != DEAD:
                found += self.background(state, rank, it)
            if apart and found:
                break
        return found

    def chance(self, state: State) -> list[State]:
        """What may happen, and may as well not."""
        found = []
        if state.votes:
            found.append(self.vote(state._replace(votes=state.votes - 1)))
        if state.faults:
            state = state._replace(faults=state.faults - 1)
            for rank, it in enumerate(state.ranks):
                twin = rank > 1 and self.programs[rank] == self.programs[1]
                found += [] if twin or it.status in ENDED else self.fault(state, rank)
        return found

    def vote(self, state: State) -> State:
        return (
            state if state.over else self.propose(state, "decide", f"vote {state.votes}", state.ranks[0].tick)
        )

    def fault(self, state: State, rank: int) -> list[State]:
        """This rank crashes, or it is alive and given up: rank 0 by rank 1, the others by rank 0."""
        return [self.crash(state, rank), self.lose(state) if rank else self.lose_zero(state, 1)]

    def crash(self, state: State, rank: int) -> State:
        state = self.end(state, rank, DEAD)
        if rank == 0:
            empty = ((),) * len(state.ranks)
            return state._replace(to_zero=empty, from_zero=empty, votes=0)
        return state

    def lose(self, state: State) -> State:
        """Rank 0 gives up another rank (which one does not matter to the rest); what comes in later is ignored."""
        state = self.propose(state, "lose", GONE)
        return state._replace(to_zero=((),) * len(state.ranks), votes=0)

    def lose_zero(self, state: State, rank: int) -> State:
        """A rank gives up rank 0."""
        return state if state.ranks[rank].status in ENDED else self.end(state, rank, LOST)

    def end(self, state: State, rank: int, status: str) -> State:
        """All that is left of a rank whose main thread has ended is where it halted."""
        ended = Rank(-1, status=status, place=state.ranks[rank].place)
        return state._replace(ranks=_put(state.ranks, rank, ended), from_zero=_put(state.from_zero, rank, ()))

    # The main thread.

    def main(self, state: State, rank: int, it: Rank) -> list[State]:
        participant: Participant = self.objects[it.participant]
        match it.status:
            case "run":
                return [self.advance(state, rank, it)]
            case "ticked" if it.tick < participant.ceiling:
                return [self.run_on(state, rank, it)]
            case "ticked" if it.half == -1 and participant.halts(it.tick):
                return [self.arrive(self.halt(state, rank, participant.segment, it.tick), rank, "halt")]
            case "meet" if it.gathered != -1:
                return self.rule(state, rank, self.objects[it.gathered])
        return []

    def advance(self, state: State, rank: int, it: Rank) -> State:
        program = self.programs[rank]
        if it.at == len(program):
            return self.arrive(state, rank, "halt")
        if program[it.at] == "r":
            return self.arrive(_with(state, rank, at=it.at + 1), rank, "report")
        return self.tick(state, rank, it._replace(tick=it.tick + 1))

    def tick(self, state: State, rank: int, it: Rank) -> State:
        """A poll. `split` shows its two halves to the others."""
        if not self.split and it.tick < self.objects[it.participant].ceiling:
            return self.run_on(state, rank, it)
        return _with(state, rank, tick=it.tick, status=TICKED)

    def run_on(self, state: State, rank: int, it: Rank) -> State:
        if it.tick >= it.committed:
            raise Broken(f"rank {rank} runs past tick {it.committed}, where it has been told to halt")
        return _with(state, rank, tick=it.tick, status=RUN, at=it.at + 1)

    def arrive(self, state: State, rank: int, call: str) -> State:
        segment = self.objects[state.ranks[rank].participant].segment
        arrive = self.code(Arrive(segment, call, None))
        return self.send_zero(_with(state, rank, status=MEET, segment=segment), rank, arrive)

    def leave(self, state: State, rank: int, published: Publish) -> State:
        """The meeting is over: go on, halt, or come again if others were not there to halt."""
        state = _with(state, rank, status=RUN)
        if published.decision is not None:
            state = self.halt(state, rank, published.segment, -1)
        if set(published.body) == {"halt"}:
            return self.end(state, rank, DONE)
        return state if published.decision is None else self.arrive(state, rank, "halt")

    def rule(self, state: State, rank: int, gathered: Gathered) -> list[State]:
        calls = tuple(arrive.call for arrive in gathered.arrivals)
        stops = (None, CRITERION) if self.panel_stops and set(calls) == {"report"} else (None,)
        state = _with(state, rank, status=RULED, gathered=-1)
        return [
            self.send_zero(state, 0, self.code(Evaluated(gathered.segment, stop, calls))) for stop in stops
        ]

    def halt(self, state: State, rank: int, segment: int, tick: int) -> State:
        it = state.ranks[rank]
        decision = self.objects[it.participant].decision
        return state if it.place else _with(state, rank, place=(segment, tick, decision))

    # The background thread.

    def background(self, state: State, rank: int, it: Rank) -> list[State]:
        if it.half != -1:
            return [self.second_half(state, rank, it)]
        found = []
        if state.from_zero[rank]:
            first, *rest = state.from_zero[rank]
            popped = state._replace(from_zero=_put(state.from_zero, rank, tuple(rest)))
            found.append(self.follow(popped, rank, first))
        for sender in range(len(state.ranks)) if rank == 0 else ():
            if state.to_zero[sender]:
                first, *rest = state.to_zero[sender]
                popped = state._replace(to_zero=_put(state.to_zero, sender, tuple(rest)))
                found.append(self.hear(self.lead(popped, sender, self.objects[first]), sender))
        return found + self.miss(state, rank)

    def miss(self, state: State, rank: int) -> list[State]:
        """The time-out of ranks that are really gone."""
        if rank:
            missing = state.ranks[0].status == DEAD and state.ranks[rank].status not in ENDED
            return [self.lose_zero(state, rank)] if missing else []
        missing = {its.status for its in state.ranks} & {DEAD, LOST}
        return (
            [self.lose(state)] if missing and not self.objects[state.proposer].lost and not state.over else []
        )

    def follow(self, state: State, rank: int, code: int) -> State:
        message, it = self.objects[code], state.ranks[rank]
        match message:
            case Propose():
                return self.first_half(state, rank, code)
            case Commit():
                participant = self.local(it.participant, "commit", message)
                return _with(state, rank, participant=participant, committed=message.ceiling)
            case Gathered():
                return _with(state, rank, gathered=code)
            case Publish():
                if self.objects[it.participant].decision not in (None, message.decision):
                    raise Broken(f"rank {rank} has learnt another decision: {message.decision}")
                participant = self.local(it.participant, "publish", message)
                return self.leave(
                    _with(state, rank, participant=participant, tick=0, committed=NEVER), rank, message
                )
        return self.end(state, rank, LOST)

    def first_half(self, state: State, rank: int, proposal: int) -> State:
        participant = self.local(state.ranks[rank].participant, "consider", self.objects[proposal])
        return _with(state, rank, half=proposal, participant=participant)

    def second_half(self, state: State, rank: int, it: Rank) -> State:
        participant, answer = self.local(it.participant, "answer", self.objects[it.half], it.tick)
        state = _with(state, rank, half=-1, participant=participant)
        return state if answer is None else self.send_zero(state, rank, answer)

    def lead(self, state: State, sender: int, message: Any) -> State:
        match message:
            case Accept():
                return self.propose(state, "on_accept", sender, message)
            case Refuse():
                return self.propose(state, "on_refuse", sender, message)
            case Arrive():
                return self.propose(state, "on_arrive", sender, message)
        over = state.over or set(message.body) == {"halt"}
        return self.propose(state._replace(over=over), "on_rule", message)

    def send_zero(self, state: State, rank: int, message: int) -> State:
        if state.ranks[0].status == DEAD or self.objects[state.proposer].lost:
            return state
        mail = self.fresh(state.proposer, (*state.to_zero[rank], message))
        return self.hear(state._replace(to_zero=_put(state.to_zero, rank, mail)), rank)

    def hear(self, state: State, rank: int) -> State:
        """Let rank 0 read what is first in a channel, as long as it only takes note of it."""
        while state.to_zero[rank]:
            first, *rest = state.to_zero[rank]
            message, proposer = self.objects[first], self.objects[state.proposer]
            noted = proposer.accepted if isinstance(message, Accept) else proposer.arrivals
            if not isinstance(message, Accept | Arrive) or len(noted) + 1 == len(state.ranks):
                return state
            popped = state._replace(to_zero=_put(state.to_zero, rank, tuple(rest)))
            state = self.lead(popped, rank, message)
        return state

    def propose(self, state: State, event: str, *details: Any) -> State:
        key = (event, state.proposer, *details)
        if key not in self.known:
            proposer, outgoing = getattr(self.objects[state.proposer], event)(*details)
            self.known[key] = self.code(proposer), [(rank, self.code(message)) for rank, message in outgoing]
        proposer, outgoing = self.known[key]
        if proposer != state.proposer:
            state = state._replace(to_zero=tuple(self.fresh(proposer, mail) for mail in state.to_zero))
        from_zero = list(state.from_zero)
        for rank, message in outgoing:
            if state.ranks[rank].status not in ENDED:
                from_zero[rank] = (*from_zero[rank], message)
        return state._replace(proposer=proposer, from_zero=tuple(from_zero))

    def fresh(self, proposer: int, mail: tuple[int, ...]) -> tuple[int, ...]:
        """Without the answers that this proposer and all its successors ignore."""
        key = ("fresh", proposer, mail)
        if key not in self.known:
            its = self.objects[proposer]
            answers = ((code, self.objects[code]) for code in mail)
            self.known[key] = tuple(
                code
                for code, message in answers
                if not (isinstance(message, Accept | Refuse) and its.ignores(message))
            )
        return self.known[key]

    def local(self, participant: int, event: str, *details: Any) -> Any:
        key = (event, participant, *details)
        if key not in self.known:
            result = getattr(self.objects[participant], event)(*details)
            if event == "answer":
                then, answer = result
                self.known[key] = self.code(then), None if answer is None else self.code(answer)
            else:
                self.known[key] = self.code(result)
        return self.known[key]

    # What must hold.

    def check(self, state: State, final: bool) -> None:
        places = {it.place for it in state.ranks if it.place}
        if len({decision for _, _, decision in places}) > 1:
            raise Broken(f"two decisions: {places}")
        if any(decision is None for _, _, decision in places):
            raise Broken("a halt without a decision")
        if self.even and len(places) > 1:
            raise Broken(f"two halts: {places}")
        if not final:
            return
        alive = [it for it in state.ranks if it.status != DEAD]
        if any(it.status not in (DONE, LOST) for it in alive):
            raise Broken(
                f"nothing can happen any more, but not all have ended: {[it.status for it in alive]}"
            )
        whole = all(it.status == DONE for it in state.ranks)
        if whole and self.objects[state.proposer].decision is not None and not all(it.place for it in alive):
            raise Broken("a decision has been taken, and somebody has not halted")


def explore(model: Model) -> int:
    """Visit every reachable state; the number of states. Raises Broken."""
    start = model.initial()
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        following = model.progress(state)
        model.check(state, final=not following)
        for then in following + model.chance(state):
            if then not in seen:
                seen.add(then)
                todo.append(then)
    return len(seen)


def _with(state: State, rank: int, **changes: Any) -> State:
    return state._replace(ranks=_put(state.ranks, rank, state.ranks[rank]._replace(**changes)))


def _put(row: tuple, index: int, item: Any) -> tuple:
    return (*row[:index], item, *row[index + 1 :])


EVEN = [
    Model(("ttrt", "ttrt"), votes=2, faults=1, panel_stops=True, split=True),
    Model(("ttrtt", "ttrtt"), votes=1, faults=1, margin=agreement.MARGIN),
    Model(("trrt", "trrt"), votes=1, faults=1, panel_stops=True),
    Model(("tttt", "tttt"), votes=1, faults=0, split=True),
    Model(("ttrt", "ttrt", "ttrt"), votes=1, faults=0, panel_stops=True),
    Model(("tr", "tr", "tr"), votes=2, faults=1, panel_stops=True),
    Model(("tt", "tt", "tt"), votes=1, faults=1),
]
UNEVEN = [
    Model(("ttr", "trt"), votes=2, faults=1, panel_stops=True, split=True),
    Model(("r", "tttr"), votes=1, faults=1, split=True),
    Model(("tttr", "rt"), votes=1, faults=1, panel_stops=True, split=True),
    Model(("tr", "ttr", "r"), votes=1, faults=0, panel_stops=True),
    Model(("t", "tt", ""), votes=1, faults=1),
]


def _named(model: Model) -> str:
    return f"{'|'.join(model.programs)}-votes{model.votes}-faults{model.faults}"


@pytest.mark.parametrize("model", EVEN, ids=_named)
def test_ranks_with_even_ticks_halt_at_one_tick_with_one_decision_or_name_a_loss(model):
    assert explore(model) > 1000


@pytest.mark.parametrize("model", UNEVEN, ids=_named)
def test_ranks_with_uneven_ticks_meet_and_halt_with_one_decision_or_name_a_loss(model):
    assert explore(model) > 1000


class AcceptsTheTickItIsAt(Participant):
    def answer(self, proposal, tick):
        if tick == proposal.ceiling:
            return self, Accept(proposal.segment, proposal.ceiling)
        return Participant.answer(self, proposal, tick)


class ForgetsTheCeiling(Participant):
    def answer(self, proposal, tick):
        return replace(self, ceiling=NEVER), Participant.answer(self, proposal, tick)[1]


class IgnoresTheDecisionOfTheMeeting(Participant):
    def publish(self, published):
        return Participant.publish(self, replace(published, decision=None))


class CommitsAfterOneAcceptance(Proposer):
    def on_accept(self, rank, accept):
        return Proposer.on_accept(replace(self, world_size=1), rank, accept)

    def _to_all(self, message):
        return [(rank, message) for rank in range(2)]


class GivesUpAfterARefusal(Proposer):
    def on_refuse(self, rank, refuse):
        return self, []


class PublishesWithoutTheVote(Proposer):
    def on_rule(self, rule):
        state, outgoing = Proposer.on_rule(replace(self, decision=rule.decision), rule)
        return replace(state, decision=self.decision or rule.decision), outgoing


class LetsTheRulingWin(Proposer):
    def on_rule(self, rule):
        return Proposer.on_rule(replace(self, decision=rule.decision or self.decision), rule)


class DecidesTwice(Proposer):
    def decide(self, decision, tick):
        return Proposer.decide(replace(self, decision=None), decision, tick)


class KeepsTheLossToItself(Proposer):
    def lose(self, notice):
        return replace(self, lost=notice), []


class ReadsTheTickFirst(Model):
    """The background thread reads the tick before it writes the ceiling."""

    def first_half(self, state, rank, proposal):
        tick = state.ranks[rank].tick
        return _with(state, rank, half=proposal, gathered=tick)

    def second_half(self, state, rank, it):
        participant = self.local(it.participant, "consider", self.objects[it.half])
        state = _with(state, rank, gathered=-1)
        return Model.second_half(
            self, state, rank, it._replace(participant=participant, tick=it.gathered, gathered=-1)
        )


class ReadsTheCeilingFirst(Model):
    """The main thread reads the ceiling before it writes the tick."""

    def tick(self, state, rank, it):
        if it.tick < self.objects[it.participant].ceiling:
            return _with(state, rank, status="passing", tick=it.tick - 1)
        return Model.tick(self, state, rank, it)

    def main(self, state, rank, it):
        if it.status == "passing":
            return [self.run_on(state, rank, it._replace(tick=it.tick + 1))]
        return Model.main(self, state, rank, it)


PLANTED = [
    *({"participant": kind} for kind in Participant.__subclasses__()),
    *({"proposer": kind} for kind in Proposer.__subclasses__()),
]


def _planted(error: dict) -> str:
    return next(iter(error.values())).__name__


@pytest.mark.parametrize("error", PLANTED, ids=_planted)
def test_a_planted_error_of_a_state_machine_is_found(error):
    even, uneven = (
        Model(programs, votes=2, faults=1, panel_stops=True, **error)
        for programs in (("ttrt", "ttrt"), ("tttr", "rt"))
    )
    with pytest.raises(Broken):
        explore(even) and explore(uneven)


@pytest.mark.parametrize("kind", Model.__subclasses__(), ids=lambda kind: kind.__name__)
def test_a_planted_race_between_the_two_threads_of_a_rank_is_found(kind):
    with pytest.raises(Broken):
        explore(kind(("ttt", "ttt"), votes=1))


@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_a_vote_is_committed_when_the_last_rank_has_accepted_and_not_before(world_size):
    proposer, outgoing = Proposer(world_size).decide("stop", tick=5)
    assert outgoing == [(rank, Propose(0, 5 + agreement.MARGIN)) for rank in range(world_size)]
    accept = Accept(0, 5 + agreement.MARGIN)
    for rank in range(world_size - 1):
        proposer, outgoing = proposer.on_accept(rank, accept)
        assert outgoing == []
    _, outgoing = proposer.on_accept(world_size - 1, accept)
    assert outgoing == [(rank, Commit(0, accept.ceiling, "stop")) for rank in range(world_size)]


def test_a_refusal_is_answered_by_a_proposal_ahead_of_the_refusing_rank():
    proposer, _ = Proposer(2).decide("stop", tick=5)
    _, outgoing = proposer.on_refuse(1, Refuse(0, 5 + agreement.MARGIN, tick=40))
    assert [message.ceiling > 40 for _, message in outgoing] == [True, True]
