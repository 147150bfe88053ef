"""How a training function of a test asks for its own end."""

from trainjobs.coordination import Outcome, Vote


def ask(run, outcome: Outcome, reason: str = "test") -> None:
    """As if somebody had asked this rank's process: the decision comes some steps later, or at the next meeting."""
    run._loop.coordinator.vote(Vote(run.rank, outcome, reason))


def ask_and_await(run, outcome: Outcome, reason: str = "test") -> None:
    """Go on once this rank knows the decision: the halt is a few steps away, however fast the steps are."""
    ask(run, outcome, reason)
    coordinator = run._loop.coordinator
    coordinator._fence.wait(lambda: coordinator.decision)
