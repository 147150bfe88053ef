"""What is to be done without a Job, after the end, and for what is not ours or cannot be used.

Times are seconds after `T0`.
"""

import pytest
from observed_trainjobs import after_write, at, conditions_of, heard, job_of, planned, running, trainjob

from trainjob_operator.trainjob.actions import Plan


def test_without_a_job_everything_is_made_the_job_last():
    found = planned(trainjob(), None, 1)
    kinds = [item["kind"] for item in found.create]
    assert kinds == ["ServiceAccount", "RoleBinding", "Secret", "Service", "NetworkPolicy", "Job"]
    assert conditions_of(found) == [("Running", "False", "Starting")]


def test_everything_but_what_a_namespace_shares_goes_with_the_trainjob():
    for item in planned(trainjob(), None, 1).create[2:]:
        assert [owner["uid"] for owner in item["metadata"]["ownerReferences"]] == ["me"]
        assert item["metadata"]["labels"]["trainjobs.dev/trainjob"] == "mnist"


def test_kueue_gets_its_labels_and_a_suspended_job_which_we_leave_alone():
    raw = trainjob(labels={"kueue.x-k8s.io/queue-name": "q", "other": "x"})
    made = planned(raw, None, 1).create[-1]
    assert made["spec"]["suspend"] is True
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert "other" not in made["metadata"]["labels"]
    assert planned(raw, job_of(raw), 2).patch_job is None


def test_an_invalid_spec_fails_until_it_is_mended():
    broken = {
        "monitor": "a",
        "criteria": [{"plateau": {"patience": 1}, "name": "x"}, {"budget": {}, "name": "x"}],
    }
    raw = trainjob(stopping=broken)
    found = planned(raw, None, 1)
    assert conditions_of(found) == [("Failed", "True", "InvalidSpec")]
    assert "must name at least one of epochs, steps, seconds" in found.status["conditions"][0]["message"]
    assert not found.create
    mended = after_write(trainjob(), found)
    assert conditions_of(planned(mended, None, 2)) == [
        ("Running", "False", "Starting"),
        ("Failed", "False", "Starting"),
    ]
    assert planned(mended, None, 2).create


def test_the_job_of_a_spec_that_cannot_be_used_goes_before_its_start():
    """Its pods would train what the TrainJob no longer says, and once they had started nobody could mend it."""
    unusable = {"entrypoint": ""}
    found = planned(trainjob(trainer=unusable), job_of(trainjob()), 60)
    assert found.delete_job
    assert conditions_of(found) == [("Failed", "True", "InvalidSpec")]
    assert not planned(trainjob(trainer=unusable), job_of(trainjob(), owner="foreign"), 60).delete_job
    leaving = job_of(trainjob(), metadata={"deletionTimestamp": at(4)})
    assert not planned(trainjob(trainer=unusable), leaving, 60).delete_job


@pytest.mark.parametrize("suspend", [True, False])
def test_a_run_whose_spec_a_later_version_cannot_use_trains_on_and_is_suspended(suspend):
    raw = trainjob(running(50), trainer={"entrypoint": ""}, suspend=suspend)
    found = planned(raw, job_of(trainjob()), 60)
    assert not found.delete_job
    assert (found.patch_job or {}).get("spec") == ({"suspend": True} if suspend else None)
    assert conditions_of(found) == [("Running", "True", "InvalidSpec")]
    assert planned(after_write(raw, found), job_of(trainjob()), 70).status == {}


def test_a_run_that_a_later_version_cannot_use_ends_as_what_it_was_and_goes_in_its_time():
    raw = trainjob(running(50), trainer={"entrypoint": ""}, ttlSecondsAfterFinished=30)
    job = job_of(trainjob(), COMPLETE)
    raw = after_write(raw, planned(raw, job, 100))
    assert raw["status"]["conditions"][0]["reason"] == "Finished"
    assert planned(raw, job, 110).requeue_after_s == 20
    assert planned(raw, job, 130).delete_trainjob


def test_a_job_on_its_way_out_is_waited_for():
    raw = trainjob()
    found = planned(raw, job_of(raw, metadata={"deletionTimestamp": at(4)}), 5)
    assert (found.create, found.delete_job) == ((), False)
    assert found.requeue_after_s


COMPLETE = ("Complete", "CompletionsReached", "Reached expected number of succeeded pods", 100)


def test_the_job_of_a_former_trainjob_of_the_same_name_says_nothing_about_this_one():
    raw = trainjob(startupDeadlineSeconds=60)
    found = planned(raw, job_of(raw, COMPLETE, owner="former"), 5)
    assert conditions_of(found) == [("Running", "False", "NameTaken")]
    assert (found.create, found.delete_job, found.patch_job) == ((), False, None)
    assert found.requeue_after_s
    assert conditions_of(planned(raw, job_of(raw, owner="foreign"), 60)) == [("Failed", "True", "NameTaken")]


@pytest.mark.parametrize(
    ("ttl", "now", "deleted", "wait"),
    [(None, 9999, False, None), (60, 150, False, 10), (60, 160, True, None), (0, 100, True, None)],
)
def test_a_finished_trainjob_is_deleted_when_its_time_has_come(ttl, now, deleted, wait):
    raw = trainjob(heard(90), **({} if ttl is None else {"ttlSecondsAfterFinished": ttl}))
    raw = after_write(raw, planned(raw, job_of(raw, COMPLETE), 100))
    found = planned(raw, job_of(raw, COMPLETE), now)
    assert (found.delete_trainjob, found.requeue_after_s) == (deleted, wait)
    assert (found.status, found.create, found.delete_job) == ({}, (), False)


def test_a_job_that_is_deleted_after_the_end_is_not_made_again():
    raw = trainjob(heard(90))
    raw = after_write(raw, planned(raw, job_of(raw, COMPLETE), 100))
    assert planned(raw, None, 110) == Plan()


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (
            {"containers": [{"name": "trainer"}, {"name": "proxy", "image": "x"}]},
            'containers[1].name: "proxy": may hold only trainer, since a pod ends with its last container; put what '
            "runs beside it into initContainers with restartPolicy: Always",
        ),
        (
            {"restartPolicy": "OnFailure"},
            'restartPolicy: "OnFailure": must be Never; remove it: backoffLimit says how often a failed attempt',
        ),
    ],
)
def test_what_no_pod_of_a_run_may_have_is_refused_before_its_start_and_harms_none_that_runs(
    template, problem
):
    asked = {"podTemplate": {"spec": template}}
    found = planned(trainjob(**asked), None, 1)
    assert conditions_of(found) == [("Failed", "True", "InvalidSpec")]
    assert found.status["conditions"][0]["message"].startswith(f"spec.podTemplate.spec.{problem}")
    assert not found.create
    at_work = planned(trainjob(heard(50), **asked), job_of(trainjob(heard(50))), 60)
    assert conditions_of(at_work) == [("Running", "True", "Running")]


def test_a_container_that_ends_with_the_trainer_is_taken():
    native = {"podTemplate": {"spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}}}
    assert planned(trainjob(**native), None, 1).create


@pytest.mark.parametrize(
    "odd", [{"podTemplate": {"spec": {"restartPolicy": "Always"}}}, {"backoffLimit": -1}]
)
def test_what_has_ended_stays_so_when_a_later_version_would_refuse_it(odd):
    raw = trainjob(heard(90))
    raw = after_write(raw, planned(raw, job_of(raw, COMPLETE), 100))
    raw["spec"] |= odd
    assert planned(raw, None, 110) == Plan()


def test_labels_of_the_pods_are_the_jobs_too():
    metadata = {"labels": {"cost-center": "7"}, "annotations": {"team": "vision"}}
    made = planned(trainjob(podTemplate={"metadata": metadata}), None, 1).create[-1]
    for each in (made, made["spec"]["template"]):
        assert each["metadata"]["labels"]["cost-center"] == "7"
        assert each["metadata"]["annotations"]["team"] == "vision"


def test_a_template_joins_no_other_run_and_no_queue():
    """By these labels others find pods and Jobs; nobody could suspend a Job in a queue that its TrainJob is not in."""
    forged = {
        "trainjobs.dev/trainjob": "a",
        "trainjobs.dev/trainsweep": "b",
        "kueue.x-k8s.io/queue-name": "q",
    }
    template = {"metadata": {"labels": {"team": "vision", **forged}}}
    made = planned(trainjob(podTemplate=template), None, 1).create[-1]
    assert made["metadata"]["labels"] == {"team": "vision", "trainjobs.dev/trainjob": "mnist"}
    assert made["spec"]["template"]["metadata"]["labels"] == made["metadata"]["labels"]


RUNNER = {"ServiceAccount", "RoleBinding"}


@pytest.mark.parametrize(
    ("status", "spec", "now", "kept"),
    [
        (heard(50), {}, 60, False),
        (heard(50), {}, 649, False),
        (heard(50), {}, 650, True),  # nobody lets it write, perhaps
        (heard(50), {"progressDeadlineSeconds": 60, "startupDeadlineSeconds": 60}, 170, True),
        (heard(50), {"stop": {}}, 60, True),  # it has to hear of that
        ({}, {}, 10, False),
        ({}, {}, 40, True),  # pods that do not come may lack their account
        (heard(50), {"suspend": True}, 900, False),
    ],
)
def test_who_should_be_heard_of_is_given_its_rights_again(status, spec, now, kept):
    raw = trainjob(status, **spec)
    job = job_of(raw, ready=2 if status else 0, suspend=spec.get("suspend", False))
    found = planned(raw, job, now)
    assert ({item["kind"] for item in found.keep} >= RUNNER) is kept


def test_who_says_nothing_is_looked_at_before_its_deadline():
    raw = trainjob(heard(50))
    assert planned(raw, job_of(raw, ready=2), 60).requeue_after_s == 590
