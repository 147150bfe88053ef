"""Nothing is lost: however a run is interrupted, it ends with the weights and the history of the undisturbed one."""

import pytest

from trainjobs.api import Stop, Stopping
from trainjobs.exits import Exit
from trainjobs.runs import events

LOSS = {"monitor": "val_loss"}


@pytest.fixture(scope="module")
def undisturbed(new_trial, tmp_path_factory):
    trial = new_trial(tmp_path_factory.mktemp("undisturbed"))
    assert trial.train(stopping=LOSS).exit_code == Exit.DONE
    return trial.outcome()


def test_a_killed_worker_costs_no_more_than_the_steps_since_the_checkpoint(trial, undisturbed):
    mishaps = [{"what": "die", "step": 20, "rank": 1}, {"what": "die", "step": 33, "rank": 0}]
    result = trial.train(stopping=LOSS, config={"mishaps": mishaps})
    assert result.exit_code == Exit.DONE
    assert trial.outcome() == undisturbed
    assert [event.from_step for event in trial.of(events.Restarting)] == [13, 26]
    assert "rank 1 was killed by SIGKILL" in trial.of(events.Restarting)[0].reason
    assert "rank 0 was killed by SIGKILL" in trial.of(events.Restarting)[1].reason
    assert result.document["restarts"] == 2


def test_a_hung_rank_shows_where_it_hangs_and_the_attempt_starts_again(trial, undisturbed):
    mishaps = [{"what": "hang", "step": 20, "rank": 1}]
    result = trial.train(stopping=LOSS, config={"mishaps": mishaps}, progressDeadlineSeconds=10)
    assert result.exit_code == Exit.DONE
    assert trial.outcome() == undisturbed
    (restart,) = trial.of(events.Restarting)
    assert restart.reason.startswith("no step for 10 s (progressDeadlineSeconds) after step ")
    stacks = {
        rank: "\n".join(line.text for line in trial.of(events.Printed) if line.rank == rank)
        for rank in (0, 1)
    }
    assert "in hang" in stacks[1]
    assert "in train" in stacks[0]  # waiting for rank 1 in a collective


def test_a_run_that_always_hangs_fails(trial):
    mishaps = [{"what": "hang", "step": 5, "rank": 0}]
    result = trial.train(
        stopping=LOSS, config={"mishaps": mishaps}, workers=1, progressDeadlineSeconds=1, backoffLimit=0
    )
    assert result.exit_code == Exit.FAILURE
    assert result.document["conditions"][0]["reason"] == "NoProgress"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_module_that_is_never_imported_shows_where_it_hangs(trial, workers):
    result = trial.train(entrypoint="hangs:train", workers=workers, progressDeadlineSeconds=5, backoffLimit=0)
    assert result.exit_code == Exit.FAILURE
    said = result.document["failure"]["message"]
    assert said.startswith(
        "no step for 5 s (progressDeadlineSeconds) before the training function was called"
    )
    shown = "\n".join(line.text for line in trial.of(events.Printed))
    assert shown.count("hangs.py") == workers


def test_a_lost_node_is_no_failed_attempt(trial, undisturbed, monkeypatch):
    monkeypatch.setattr(trial.workers, "lost", lambda: "pod trial-1 is gone")
    mishaps = [{"what": "die", "step": 20, "rank": 1}]
    assert trial.train(stopping=LOSS, config={"mishaps": mishaps}, backoffLimit=0).exit_code == Exit.DONE
    (restart,) = trial.of(events.Restarting)
    assert (restart.reason, restart.failed_attempts) == ("pod trial-1 is gone", 0)
    assert trial.outcome() == undisturbed


@pytest.mark.parametrize(
    ("step", "rank", "evaluation"),
    [(1, 1, False), (17, 0, False), (25, 1, False), (26, 1, False), (26, 0, True), (52, 1, True)],
    ids=["first step", "middle", "last step", "evaluation", "report", "last report"],
)
def test_an_interrupted_run_continues_at_the_next_step(trial, undisturbed, step, rank, evaluation):
    mishaps = [{"what": "interrupt", "step": step, "rank": rank, "evaluation": evaluation}]
    config = {"mishaps": mishaps}
    first = trial.train(stopping=LOSS, config=config)
    assert first.exit_code == Exit.INTERRUPTED
    halted = trial.of(events.Halted)[0]
    assert len(set(halted.steps.values())) == 1
    assert step <= halted.steps[0] <= step + 13
    assert trial.of(events.Checkpointed)[-1].step == halted.steps[0]
    assert trial.train(stopping=LOSS, config=config).exit_code == Exit.DONE
    assert trial.of(events.Started)[-1].resumed_from_step == halted.steps[0]
    assert trial.outcome() == undisturbed


@pytest.mark.parametrize("loader", ["prepared", "uneven", "shuffled", "stream"])
def test_an_interruption_amid_accumulated_gradients_waits_for_the_whole_step(new_trial, tmp_path, loader):
    config = {"accumulate": 3, "loader": loader}
    whole, broken = (new_trial(make(tmp_path / name)) for name in ("whole", "broken"))
    whole.train(stopping=LOSS, config=config, max_epochs=2)
    mishaps = [{"what": "interrupt", "step": 2, "rank": 1}]
    assert broken.train(stopping=LOSS, config=config | {"mishaps": mishaps}, max_epochs=2).exit_code == 75
    broken.train(stopping=LOSS, config=config | {"mishaps": mishaps}, max_epochs=2)
    assert broken.outcome() == whole.outcome()


@pytest.mark.parametrize("loader", ["prepared", "shuffled"])
def test_a_run_that_is_interrupted_twice_in_one_epoch_sees_every_batch_once(new_trial, tmp_path, loader):
    config = {"loader": loader}
    whole, broken = (new_trial(make(tmp_path / name)) for name in ("whole", "broken"))
    whole.train(stopping=LOSS, config=config, max_epochs=2)
    half = whole.place.history()[0].step
    mishaps = [{"what": "interrupt near", "step": half + steps, "rank": 1} for steps in (1, 7)]
    parts = {"stopping": LOSS, "config": config | {"mishaps": mishaps}, "max_epochs": 2}
    codes = [broken.train(**parts).exit_code for _ in range(3)]
    assert codes == [Exit.INTERRUPTED, Exit.INTERRUPTED, Exit.DONE]
    halts = [halted.steps[0] for halted in broken.of(events.Halted)[:2]]
    assert half < halts[0] < halts[1] < 2 * half
    assert broken.outcome() == whole.outcome()


def test_a_live_change_of_criteria_judges_the_whole_history_again(trial, undisturbed):
    first = LOSS | {"criteria": [{"plateau": {"patience": 2, "minDelta": 10}}]}
    second = Stopping.model_validate(LOSS | {"criteria": [{"budget": {"steps": 1_000_000}}]})

    def react(event):
        if isinstance(event, events.Reported) and event.observation.epoch == 1:
            trial.control.change(second)

    mishaps = [{"what": "await change", "step": 20, "rank": 0}]
    result = trial.train(react, stopping=first, config={"mishaps": mishaps})
    assert result.document["state"] == "Finished"
    assert trial.outcome() == undisturbed
    assert trial.place.job().spec.stopping == second


def test_an_edit_of_the_manifest_in_the_run_directory_takes_effect(trial):
    def react(event):
        if isinstance(event, events.Reported) and event.observation.epoch == 1:
            job = trial.place.job()
            stop = Stop(reason="seen enough")
            trial.place.write_job(job.model_copy(update={"spec": job.spec.model_copy(update={"stop": stop})}))

    result = trial.train(react, stopping=LOSS, entrypoint="digits:three_lines", max_epochs=1_000_000)
    assert result.document["state"] == "StopRequested"
    assert result.document["stopping"]["reason"] == "seen enough"


def make(directory):
    directory.mkdir()
    return directory
