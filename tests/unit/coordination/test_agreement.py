"""The agreement explored exhaustively: every interleaving of main threads, background threads and messages.

The states explored hold the real Participant and Proposer. Around them, a model of what the coordinator does with threads:
per rank a main thread that runs a program (t: a tick, r: a report, then the halt or the end), a background thread that
handles one message at a time, and a channel to and from rank 0. The two halves of a poll (write the tick, read the
ceiling) and of a proposal (write the ceiling, read the tick) are separate steps. A vote may reach rank 0 at any moment,
one rank may crash or be given up wrongly at any moment, and rank 0's panel may stop at any report.

To keep the number of states small without losing behaviours:
- Local transitions are computed once by the real classes and then looked up: a state is a tuple of small numbers.
- A step that nobody else can tell apart from its later self is taken at once: arriving at a meeting, leaving it.
- What cannot matter any more is forgotten: all but its halt of a rank that is dead or has ended, and its mail.
"""

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pytest

from trainjobs.coordination import agreement, messages
from trainjobs.coordination.agreement import NEVER, Participant, Proposer
from trainjobs.coordination.messages import Accept, Arrive, Cast, Commit, Gathered, Gone, Propose, Publish, Refuse, Rule

RUN, TICKED, MEET, RULED, DONE, LOST, DEAD = "run ticked meet ruled done lost dead".split()
ENDED = {DONE, LOST, DEAD}
CRITERION = "criterion"


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

    def successors(self, state: State) -> list[State]:
        found = []
        for rank, it in enumerate(state.ranks):
            if it.status not in ENDED:
                found += self.main(state, rank, it)
            if it.status != DEAD:
                found += self.background(state, rank, it)
                found += self.faulty(state, rank)
        if state.votes and state.ranks[0].status != DEAD:
            found.append(self.vote(state._replace(votes=state.votes - 1)))
        return found

    def vote(self, state: State) -> State:
        return state if state.over else self.propose(state, "decide", f"vote {state.votes}", state.ranks[0].tick)

    def faulty(self, state: State, rank: int) -> list[State]:
        """This rank crashes, or it is alive and given up: rank 0 by rank 1, the others by rank 0."""
        if not state.faults:
            return []
        state = state._replace(faults=state.faults - 1)
        return [self.crash(state, rank), self.lose_zero(state, 1) if rank == 0 else self.lose(state, rank)]

    def crash(self, state: State, rank: int) -> State:
        state = self.end(state, rank, DEAD)
        if rank == 0:
            empty = ((),) * len(state.ranks)
            return state._replace(to_zero=empty, from_zero=empty, votes=0)
        return state

    def lose(self, state: State, rank: int) -> State:
        """Rank 0 gives up `rank`; what comes in later is ignored."""
        state = self.propose(state, "lose", Gone(rank, 0, False))
        return state._replace(to_zero=((),) * len(state.ranks), votes=0)

    def lose_zero(self, state: State, rank: int) -> State:
        if state.ranks[rank].status in ENDED:
            return state
        return self.gone(state, rank, Gone(0, 0, False))

    def gone(self, state: State, rank: int, gone: Gone) -> State:
        state = _with(state, rank, participant=self.local(state.ranks[rank].participant, "lose", gone))
        everywhere = self.objects[state.proposer].gone or state.ranks[0].status == DEAD
        return self.end(state, rank, LOST) if everywhere else state

    def end(self, state: State, rank: int, status: str) -> State:
        """All that is left of a rank whose main thread has ended is where it halted."""
        ended = Rank(-1, status=status, place=state.ranks[rank].place)
        return state._replace(
            ranks=_put(state.ranks, rank, ended), from_zero=_put(state.from_zero, rank, ())
        )

    # The main thread.

    def main(self, state: State, rank: int, it: Rank) -> list[State]:
        participant: Participant = self.objects[it.participant]
        match it.status:
            case "run":
                return [self.advance(state, rank, it)]
            case "ticked" if it.tick < participant.ceiling:
                return [_with(state, rank, status=RUN, at=it.at + 1)]
            case "ticked" if it.half == -1 and participant.gone:
                return [self.end(state, rank, LOST)]
            case "ticked" if it.half == -1 and participant.halts(it.tick):
                return [self.arrive(self.halt(state, rank, participant.segment, it.tick), rank, "halt")]
            case "meet" | "ruled" if participant.gone:
                return [self.end(state, rank, LOST)]
            case "meet" if it.gathered != -1:
                return self.rule(state, rank, self.objects[it.gathered])
        return []

    def advance(self, state: State, rank: int, it: Rank) -> State:
        program = self.programs[rank]
        if it.at == len(program):
            return self.arrive(state, rank, "halt")
        if program[it.at] == "r":
            return self.arrive(_with(state, rank, at=it.at + 1), rank, "report")
        return _with(state, rank, status=TICKED, tick=it.tick + 1)

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
        return [self.send_zero(state, 0, self.code(Rule(gathered.segment, stop, calls))) for stop in stops]

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
                found.append(self.chair(popped, sender, self.objects[first]))
        return found + self.miss(state, rank, it)

    def miss(self, state: State, rank: int, it: Rank) -> list[State]:
        """The time-out of ranks that are really gone."""
        if rank:
            return [self.lose_zero(state, rank)] if state.ranks[0].status == DEAD else []
        if self.objects[state.proposer].gone or state.over:
            return []
        return [self.lose(state, lost) for lost, its in enumerate(state.ranks) if its.status in (DEAD, LOST)]

    def follow(self, state: State, rank: int, code: int) -> State:
        message, it = self.objects[code], state.ranks[rank]
        match message:
            case Propose():
                return self.first_half(state, rank, code)
            case Commit():
                return _with(state, rank, participant=self.local(it.participant, "commit", message))
            case Gathered():
                return _with(state, rank, gathered=code)
            case Publish():
                ignored = self.objects[it.participant].gone
                participant = self.local(it.participant, "publish", message)
                state = _with(state, rank, participant=participant, tick=0)
                return state if ignored else self.leave(state, rank, message)
        return self.gone(state, rank, message)

    def first_half(self, state: State, rank: int, proposal: int) -> State:
        participant = self.local(state.ranks[rank].participant, "consider", self.objects[proposal])
        return _with(state, rank, half=proposal, participant=participant)

    def second_half(self, state: State, rank: int, it: Rank) -> State:
        participant, answer = self.local(it.participant, "answer", self.objects[it.half], it.tick)
        state = _with(state, rank, half=-1, participant=participant)
        return state if answer is None else self.send_zero(state, rank, answer)

    def chair(self, state: State, sender: int, message: Any) -> State:
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
        if state.ranks[0].status == DEAD or self.objects[state.proposer].gone:
            return state
        return state._replace(to_zero=_put(state.to_zero, rank, (*state.to_zero[rank], message)))

    def propose(self, state: State, event: str, *details: Any) -> State:
        key = (event, state.proposer, *details)
        if key not in self.known:
            proposer, outgoing = getattr(self.objects[state.proposer], event)(*details)
            self.known[key] = self.code(proposer), [(rank, self.code(message)) for rank, message in outgoing]
        proposer, outgoing = self.known[key]
        from_zero = list(state.from_zero)
        for rank, message in outgoing:
            if state.ranks[rank].status not in ENDED:
                from_zero[rank] = (*from_zero[rank], message)
        return state._replace(proposer=proposer, from_zero=tuple(from_zero))

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
        if self.even and len(places) > 1:
            raise Broken(f"two halts: {places}")
        if not final:
            return
        alive = [it for it in state.ranks if it.status != DEAD]
        if any(it.status not in (DONE, LOST) for it in alive):
            raise Broken(f"nothing can happen any more, but not all have ended: {[it.status for it in alive]}")
        whole = all(it.status == DONE for it in state.ranks)
        if whole and self.objects[state.proposer].decision is not None and not all(it.place for it in alive):
            raise Broken("a decision has been taken, and somebody has not halted")


def explore(model: Model) -> int:
    """Visit every reachable state; the number of states. Raises Broken."""
    start = model.initial()
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        following = model.successors(state)
        model.check(state, final=not following)
        for then in following:
            if then not in seen:
                seen.add(then)
                todo.append(then)
    return len(seen)


def _with(state: State, rank: int, **changes: Any) -> State:
    return state._replace(ranks=_put(state.ranks, rank, state.ranks[rank]._replace(**changes)))


def _put(row: tuple, index: int, item: Any) -> tuple:
    return (*row[:index], item, *row[index + 1 :])

