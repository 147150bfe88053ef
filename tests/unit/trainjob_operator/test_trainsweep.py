"""A TrainSweep is a Job like a TrainJob's: its pods are slots, its verbs its own."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from sweep_manifests import sweep_manifest

from trainjob_operator.trainjob.conditions import Kind
from trainjob_operator.trainjob.objects.job import digest, indexed_job
from trainjob_operator.trainjob.observation.excerpt import excerpt
from trainjob_operator.trainjob.observation.observed import Invalid, Valid, observe
from trainjob_operator.trainjob.outcome import outcome
from trainjob_operator.trainjob.plan import Settings, plan
from trainjob_operator.trainsweep.metrics import SweepMetrics
from trainjob_operator.trainsweep.view import as_trainjob
from trainjobs.api.pod_contract import PodEnvironment, TerminationMessage

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
METADATA = {
    "name": "tuned",
    "namespace": "team",
    "uid": "0123456789",
    "resourceVersion": "1",
    "generation": 1,
    "creationTimestamp": "2026-11-27T11:00:00Z",
}


def stored(status=None, **spec):
    """One as the API server has it."""
    return {**sweep_manifest(**spec), "metadata": METADATA, **({"status": status} if status else {})}


def seen(item) -> Valid:
    found = observe(excerpt(as_trainjob(item)), None, NOW)
    assert isinstance(found, Valid)
    return found


def made(item):
    return {each["kind"]: each for each in plan(seen(item), lambda: "token", Settings("image:1")).create}


def test_its_job_has_a_pod_for_each_slot_which_knows_what_it_belongs_to():
    job = made(stored(parallelTrials=3, trainer={"numProcPerNode": 2}))["Job"]
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (3, 3)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    told = PodEnvironment.of_env({each["name"]: each.get("value", "") for each in container["env"]})
    assert (told.kind, told.nodes, told.processes) == ("TrainSweep", 3, 2)
    assert (told.name, told.uid) == ("tuned", METADATA["uid"])


def test_a_slot_has_the_templates_nodes():
    job = made(stored(parallelTrials=3, trainer={"numNodes": 2}))["Job"]
    assert (job["spec"]["completions"], job["spec"]["parallelism"]) == (6, 6)


def test_without_parallel_trials_there_is_one_pod():
    item = stored()
    del item["spec"]["parallelTrials"]
    assert made(item)["Job"]["spec"]["completions"] == 1


def test_all_that_is_made_belongs_to_the_sweep_and_is_found_by_a_label_of_its_own():
    objects = made(stored())
    for kind in ("Job", "Service", "Secret", "NetworkPolicy"):
        (owner,) = objects[kind]["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("TrainSweep", METADATA["uid"])
        assert objects[kind]["metadata"]["labels"] == {"trainjobs.dev/trainsweep": "tuned"}
    assert objects["Service"]["spec"]["selector"]["trainjobs.dev/trainsweep"] == "tuned"


def test_a_trainjobs_pods_are_told_no_kind_so_that_older_images_understand():
    item = {**stored(), "kind": "TrainJob", "spec": {"trainer": {"entrypoint": "t:t", "maxEpochs": 1}}}
    job = observe(item, None, NOW).trainjob
    env = indexed_job(job, "i")["spec"]["template"]["spec"]["containers"][0]["env"]
    told = {each["name"]: each.get("value") for each in env}
    assert (told["TRAINJOBS_NAME"], told["TRAINJOBS_KIND"]) == ("tuned", "")


CHANGES = {
    "a parameter": {"parameters": {"hidden": {"grid": [1, 2]}}},
    "the objective": {"objective": {"metric": "accuracy", "mode": "max"}},
    "slots": {"parallelTrials": 4},
    "the template": {"trainer": {"maxEpochs": 9}},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_before_the_start_makes_the_job_anew(change):
    assert digest(seen(stored(**CHANGES[change])).trainjob) != digest(seen(stored()).trainjob)


VERBS = {
    "suspend": True,
    "stop": {"reason": "enough"},
    "activeDeadlineSeconds": 60,
    "ttlSecondsAfterFinished": 60,
}


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_and_limits_are_the_sweeps_own_and_change_no_job(verb):
    job = seen(stored(**{verb: VERBS[verb]})).trainjob
    assert job.spec.model_dump(by_alias=True, exclude_unset=True)[verb] == VERBS[verb]
    assert digest(job) == digest(seen(stored()).trainjob)


@pytest.mark.parametrize("verb", VERBS)
def test_the_templates_verbs_are_not_asked(verb):
    job = seen(stored(template={verb: VERBS[verb]})).trainjob
    assert verb not in job.spec.model_dump(by_alias=True, exclude_unset=True)


def test_a_report_of_trials_is_the_sign_of_life():
    status = {"startTime": "2026-11-27T11:00:00Z", "trials": {"lastUpdateTime": "2026-11-27T11:30:00Z"}}
    training = seen(stored(status)).status.training
    assert training is not None
    assert training.last_update_time == datetime(2026, 11, 27, 11, 30, tzinfo=UTC)


def test_its_end_is_told_in_the_sweeps_words_and_they_are_clipped():
    told = {"summary": "all 6 trials have ended"}
    assert outcome_of(told) == (Kind.COMPLETE, "Finished", "all 6 trials have ended")
    assert len(outcome_of({"summary": "x" * 100_000})[2]) <= 4096
    assert outcome_of({"summary": {"not": "text"}})[0] is Kind.COMPLETE


def outcome_of(status):
    class Complete:
        failed = False

    state = outcome(seen(stored(status)), Complete(), None, TerminationMessage(), "")
    return state.kind, state.reason, state.message


def test_what_a_sweep_says_of_itself_is_counted_within_what_can_be():
    metrics = SweepMetrics(CollectorRegistry())
    trainer = {"resourcesPerNode": {"limits": {"nvidia.com/gpu": 1}}}
    ended = datetime.fromisoformat(METADATA["creationTimestamp"]) + timedelta(seconds=30)
    status = {
        "completionTime": ended.isoformat(),
        "trials": {"pruned": 2, "succeeded": 10**12},
        "accounting": {"gpuSecondsUsed": 1e30, "gpuSecondsSaved": 5.0},
    }
    metrics.ended(excerpt(as_trainjob(stored(status, trainer=trainer))))
    value = metrics.registry.get_sample_value
    assert value("trainjobs_sweep_trials_total", {"outcome": "pruned"}) == 2
    assert value("trainjobs_sweep_trials_total", {"outcome": "succeeded"}) == 100_000
    assert value("trainjobs_sweep_gpu_seconds_total", {"kind": "saved"}) == 5
    assert value("trainjobs_sweep_gpu_seconds_total", {"kind": "used"}) == 60


def test_of_a_sweep_with_a_megabyte_of_parameters_a_digest_is_kept():
    item, values = stored(), [f"{n:050}" for n in range(440)]
    item["spec"] = {**item["spec"], "parameters": {f"p{n}": {"choice": values} for n in range(60)}}
    assert len(json.dumps(item)) > 1_400_000
    assert len(json.dumps(excerpt(as_trainjob(item)))) < 1024


def nested(levels):
    value = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "spec",
    [
        {"parameters": {"lr": {"choice": [nested(5000)]}}},
        {
            "template": {
                "spec": {"trainer": {"entrypoint": "a:b", "maxEpochs": 1, "config": {"a": nested(5000)}}}
            }
        },
    ],
    ids=["a parameter", "the template"],
)
def test_a_sweep_that_nests_too_deep_is_told_so_instead_of_being_passed_over(spec):
    item = stored()
    found = observe(excerpt(as_trainjob({**item, "spec": {**item["spec"], **spec}})), None, NOW)
    assert isinstance(found, Invalid)
    assert "nested deeper than 64 levels" in found.problem
