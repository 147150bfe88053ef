"""How a TrainJob ends, and what is said of it. Times are seconds after `T0`."""

import pytest
from observed_trainjobs import at, conditions_of, heard, job_of, planned, trainjob

COMPLETE = ("Complete", "CompletionsReached", "Reached expected number of succeeded pods", 100)


SUCCESS = ("SuccessCriteriaMet", "SuccessPolicy", "", 100)


@pytest.mark.parametrize(
    ("status", "spec", "expected", "message"),
    [
        (heard(90), {}, [("Complete", "True", "Finished")], "trained 3 of 100 epochs"),
        (
            heard(90),
            {"trainer": {"maxEpochs": None, "maxSteps": 9}},
            [("Complete", "True", "Finished")],
            "trained 9 of 9 steps",
        ),
        (
            heard(90, stopping={"criterion": "plateau", "reason": "val_loss has not improved"}),
            {},
            [("Complete", "True", "EarlyStopped"), ("EarlyStopped", "True", "EarlyStopped")],
            "val_loss has not improved",
        ),
        (
            heard(90, stopping={"reason": "stop verb"}),
            {"stop": {"reason": "good enough"}},
            [("Complete", "True", "StopRequested")],
            "stopped on request: good enough",
        ),
    ],
)
def test_a_complete_job_completes_the_trainjob_with_its_reason(status, spec, expected, message):
    raw = trainjob(status, **spec)
    found = planned(raw, job_of(raw, COMPLETE, SUCCESS, active=0), 101)
    assert conditions_of(found) == expected
    assert found.status["conditions"][0]["message"] == message
    assert found.status["completionTime"] == at(101)


@pytest.mark.parametrize(
    ("condition", "reason", "message"),
    [
        (
            ("Failed", "BackoffLimitExceeded", "Job has reached the limit", 100),
            "BackoffLimitExceeded",
            "Job has",
        ),
        (("Failed", "PodFailurePolicy", "exit code 70", 100), "UserError", "exit code 70"),
        (("Failed", "DeadlineExceeded", "too long", 100), "DeadlineExceeded", "too long"),
    ],
)
def test_a_failed_job_fails_the_trainjob_with_the_runs_last_words(condition, reason, message):
    raw = trainjob(heard(90))
    pod = {
        "metadata": {"name": "mnist-0-abcde", "labels": {"batch.kubernetes.io/job-completion-index": "0"}},
        "status": {
            "containerStatuses": [
                {
                    "name": "trainer",
                    "state": {"terminated": {"message": '{"message": "no module named trian"}'}},
                }
            ]
        },
    }
    assert planned(raw, job_of(raw, condition), 101).wants_pods
    found = planned(raw, job_of(raw, condition), 101, [pod])
    assert conditions_of(found) == [("Failed", "True", reason)]
    said = found.status["conditions"][0]["message"]
    assert said.startswith(message)
    assert said.endswith("the run's last words: no module named trian")


def test_what_the_driver_says_of_its_end_is_the_conditions_reason_and_message():
    raw = trainjob(heard(90))
    words = '{"reason": "NoProgress", "message": "no step for 30 s"}'
    pod = {
        "metadata": {"name": "mnist-0-abcde", "labels": {"batch.kubernetes.io/job-completion-index": "0"}},
        "status": {"containerStatuses": [{"name": "trainer", "state": {"terminated": {"message": words}}}]},
    }
    found = planned(raw, job_of(raw, ("Failed", "PodFailurePolicy", "exit code 69", 100)), 101, [pod])
    assert conditions_of(found) == [("Failed", "True", "NoProgress")]
    assert found.status["conditions"][0]["message"] == "no step for 30 s"


def failed_pod(name="mnist-1", **status):
    return {"metadata": {"name": name, "creationTimestamp": at(10)}, "status": {"phase": "Failed", **status}}


def container(name, **terminated):
    return [{"name": name, "state": {"terminated": terminated}}]


@pytest.mark.parametrize(
    ("pod", "cause"),
    [
        (failed_pod(containerStatuses=container("trainer", exitCode=137, reason="OOMKilled")),
         "container trainer: OOMKilled (exit code 137)"),
        (failed_pod(initContainerStatuses=container("fetch", exitCode=3, message="s3://data: access denied\n")),
         "init container fetch: exit code 3: s3://data: access denied"),
        (failed_pod(reason="Evicted", message='Usage of EmptyDir volume "scratch" exceeds the limit "1Mi".'),
         'Evicted: Usage of EmptyDir volume "scratch" exceeds the limit "1Mi".'),
    ],
)  # fmt: skip
def test_why_a_pod_failed_is_in_the_condition(pod, cause):
    raw = trainjob(heard(90))
    limit = ("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit", 100)
    found = planned(raw, job_of(raw, limit, ready=0), 101, [pod])
    message = found.status["conditions"][0]["message"]
    assert message == f"Job has reached the specified backoff limit; pod mnist-1: {cause}"
