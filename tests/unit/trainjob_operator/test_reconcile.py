"""One pass: what is read and written, in which order, and what stops half-way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import CollectorRegistry
from stored_api import Store

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.controller import RepeatError
from trainjob_operator.trainjob.api_errors import NameTakenError
from trainjob_operator.trainjob.metrics import EndCounter, Metrics
from trainjob_operator.trainjob.objects.dependents import guards
from trainjob_operator.trainjob.observation import observed
from trainjob_operator.trainjob.observation.observed_job import job_projection
from trainjob_operator.trainjob.plan import Settings
from trainjob_operator.trainjob.reconcile import TrainJobReconciler, contains
from trainjobs.api.pod_contract import LABEL
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import NETWORK_POLICIES, SERVICES, Key
from trainjobs.kube.transport import ApiError, TransportError

KEY = Key("team", "mnist")
NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def reconciler(store):
    return TrainJobReconciler(
        KubeClient(store),
        Cache(),
        Cache(job_projection),
        {resource: Cache(projection) for resource, projection in guards(LABEL).items()},
        Settings(),
        EndCounter(Metrics(CollectorRegistry())),
        "operator-1",
        lambda: NOW,
    )


@pytest.fixture
def trainjob(reconciler, store):
    """Puts a TrainJob where the watch would."""

    def put(**spec):
        item = {
            "apiVersion": "trainjobs.dev/v1alpha1",
            "kind": "TrainJob",
            "metadata": {
                "name": "mnist", "namespace": "team", "uid": "me", "generation": 1,
                "resourceVersion": "1", "creationTimestamp": "2026-11-21T09:59:59Z",
            },
            "spec": {"trainer": {"entrypoint": "train:train", "maxEpochs": 1}, **spec},
        }  # fmt: skip
        store.objects["/apis/trainjobs.dev/v1alpha1/namespaces/team/trainjobs/mnist"] = item
        reconciler.trainjobs.put(item)
        return item

    return put


def test_an_unknown_key_is_no_work(reconciler, store):
    assert reconciler.reconcile(KEY) is None
    assert store.log == []


def test_nothing_is_done_for_a_trainjob_that_is_being_deleted(reconciler, store, trainjob):
    item = trainjob()
    going = {**item["metadata"], "resourceVersion": "50", "deletionTimestamp": "2026-11-21T09:59:59Z"}
    reconciler.trainjobs.put({**item, "metadata": going})
    assert reconciler.reconcile(KEY) is None
    assert store.log == []


def test_a_deleted_trainjob_that_a_finalizer_holds_is_looked_after_while_its_job_is_there(
    reconciler, store, trainjob
):
    item = trainjob()
    reconciler.reconcile(KEY)
    store.version += 1
    known = reconciler.trainjobs.get(KEY)
    going = {"resourceVersion": str(store.version), "deletionTimestamp": "2026-11-21T09:59:59Z"}
    held = {**known, "spec": {**item["spec"], "suspend": True}, "metadata": {**known["metadata"], **going}}
    store.objects["/apis/trainjobs.dev/v1alpha1/namespaces/team/trainjobs/mnist"] = held
    reconciler.trainjobs.put(held)
    for path, resource in ((SERVICE, SERVICES), (POLICY, NETWORK_POLICIES)):  # being collected
        gone = store.objects.pop(path)
        store.version += 1
        last = {**gone["metadata"], "resourceVersion": str(store.version)}
        reconciler.guards[resource].remove({**gone, "metadata": last})
    store.log.clear()
    reconciler.reconcile(KEY)
    assert store.log == ["PATCH jobs/mnist"]
    job = store.objects[JOB]
    store.version += 1
    last = {**job["metadata"], **going, "resourceVersion": str(store.version)}
    reconciler.jobs.put({**job, "metadata": last})
    store.log.clear()
    assert reconciler.reconcile(KEY) is None
    assert store.log == []


def test_a_pass_reads_the_trainjob_once_also_when_it_looks_at_pods_or_is_refused(
    reconciler, store, trainjob, monkeypatch
):
    trainjob(suspend=True)
    reconciler.reconcile(KEY)
    read = []
    for name in ("parse", "read_status"):
        known = getattr(observed, name)
        monkeypatch.setattr(
            observed, name, lambda *args, name=name, known=known: read.append(name) or known(*args)
        )
    made = store.objects["/apis/batch/v1/namespaces/team/jobs/mnist"]
    metadata = {**made["metadata"], "resourceVersion": str(store.version + 1)}
    status = {"active": 1, "startTime": "2026-11-21T09:59:00Z"}
    reconciler.jobs.put({**made, "metadata": metadata, "spec": {"suspend": False}, "status": status})
    store.refuse["PATCH jobs/mnist"] = ApiError(422, "Invalid", "not so")
    with pytest.raises(ApiError, match="not so"):
        reconciler.reconcile(KEY)
    assert store.lists == ["pods", "events"]
    assert read == ["read_status", "parse"]


def test_the_job_comes_after_what_its_pods_need_and_then_the_status(reconciler, store, trainjob):
    trainjob()
    assert reconciler.reconcile(KEY) == 0
    assert store.log == [
        "POST serviceaccounts/trainjobs-runner",
        "POST rolebindings/trainjobs-runner",
        "POST secrets/mnist-ray-token-me",
        "POST services/mnist",
        "POST networkpolicies/mnist",
        "POST jobs/mnist",
        "PATCH trainjobs/mnist/status",
    ]


def test_a_job_is_made_of_the_whole_trainjob_of_now(reconciler, store, trainjob):
    item = trainjob()
    path = "/apis/trainjobs.dev/v1alpha1/namespaces/team/trainjobs/mnist"
    newer = {**item["metadata"], "resourceVersion": "50"}
    store.objects[path] = {**item, "metadata": newer, "spec": {**item["spec"], "suspend": True}}
    assert (reconciler.reconcile(KEY), store.log) == (0, [])
    reconciler.reconcile(KEY)
    assert store.objects["/apis/batch/v1/namespaces/team/jobs/mnist"]["spec"]["suspend"] is True


def test_nothing_is_made_for_a_trainjob_that_is_gone(reconciler, store, trainjob):
    trainjob()
    store.objects.clear()
    assert reconciler.reconcile(KEY) > 0
    assert store.log == []


def test_an_event_comes_after_the_status_that_it_tells_of(reconciler, store, trainjob):
    trainjob(stop={"reason": "enough"})
    reconciler.reconcile(KEY)
    assert store.log == ["PATCH trainjobs/mnist/status", "POST events"]


def test_the_next_pass_writes_nothing(reconciler, store, trainjob):
    trainjob()
    reconciler.reconcile(KEY)
    reconciler.reconcile(KEY)
    store.log.clear()
    assert reconciler.reconcile(KEY)
    assert store.log == []


def test_what_is_there_as_it_should_be_is_not_written(reconciler, store, trainjob):
    trainjob()
    reconciler.reconcile(KEY)
    reconciler.jobs.remove({"metadata": {"namespace": "team", "name": "mnist", "resourceVersion": "999"}})
    store.objects["/api/v1/namespaces/team/services/mnist"]["spec"]["selector"] = {"app": "web"}
    store.log.clear()
    reconciler.reconcile(KEY)
    assert [line for line in store.log if line.startswith("PATCH")] == ["PATCH services/mnist"]
    assert not [line for line in store.log if "trainjobs-runner" in line]


JOB = "/apis/batch/v1/namespaces/team/jobs/mnist"


def unlabelled(reconciler, store):
    """What a watch by label says when somebody takes the label off a Job: it has gone."""
    store.version += 1
    found = store.objects[JOB]
    metadata = {**found["metadata"], "labels": {"team": "red"}, "resourceVersion": str(store.version)}
    store.objects[JOB] = {**found, "metadata": metadata}
    reconciler.jobs.remove(store.objects[JOB])


def test_a_job_whose_label_was_taken_off_gets_it_back_and_is_followed(reconciler, store, trainjob):
    trainjob()
    reconciler.reconcile(KEY)
    unlabelled(reconciler, store)
    store.log.clear()
    assert reconciler.reconcile(KEY) == 0
    assert reconciler.reconcile(KEY) != 0
    assert [line for line in store.log if " jobs/mnist" in line] == ["PATCH jobs/mnist"]
    labels = store.objects[JOB]["metadata"]["labels"]
    assert labels == {"team": "red", "trainjobs.dev/trainjob": "mnist"}


def test_who_takes_the_label_off_at_once_does_not_keep_the_operator_busy(
    reconciler, store, trainjob, monkeypatch
):
    trainjob()
    reconciler.reconcile(KEY)
    unlabelled(reconciler, store)
    monkeypatch.setattr(KubeClient, "patch", lambda *_: store.objects[JOB])
    with pytest.raises(RepeatError):
        reconciler.reconcile(KEY)


def test_a_job_that_may_not_be_changed_is_shown_as_it_is(reconciler, store, trainjob):
    item = trainjob()
    reconciler.reconcile(KEY)
    known = reconciler.trainjobs.get(KEY)
    running = [{**known["status"]["conditions"][0], "status": "True", "reason": "Running"}]
    store.version += 1
    metadata = {**known["metadata"], "resourceVersion": str(store.version)}
    asked = {**item, "spec": {**item["spec"], "suspend": True}, "metadata": metadata}
    asked["status"] = {**known["status"], "conditions": running}
    store.objects["/apis/trainjobs.dev/v1alpha1/namespaces/team/trainjobs/mnist"] = asked
    reconciler.trainjobs.put(asked)
    store.refuse["PATCH jobs/mnist"] = ApiError(422, "Invalid", "Jobs are frozen", causes=("",))
    with pytest.raises(ApiError):
        reconciler.reconcile(KEY)
    (told, *_) = reconciler.trainjobs.get(KEY)["status"]["conditions"]
    assert (told["type"], told["status"], told["message"]) == ("Running", "True", "Jobs are frozen")


def test_who_changes_a_job_back_at_once_does_not_keep_the_operator_busy(
    reconciler, store, trainjob, monkeypatch
):
    trainjob()
    reconciler.reconcile(KEY)
    store.version += 1
    made = store.objects[JOB]
    metadata = {**made["metadata"], "resourceVersion": str(store.version)}
    store.objects[JOB] = {**made, "metadata": metadata, "spec": {**made["spec"], "parallelism": 0}}
    reconciler.jobs.put(store.objects[JOB])
    patch = KubeClient.patch
    monkeypatch.setattr(
        KubeClient, "patch", lambda client, *args: {**patch(client, *args), "spec": {"parallelism": 0}}
    )
    with pytest.raises(RepeatError, match="changes its Job at once"):
        reconciler.reconcile(KEY)


def test_a_rolebinding_of_another_role_is_in_the_way_and_no_fault_of_the_spec(reconciler, store, trainjob):
    trainjob()
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/team/rolebindings/trainjobs-runner"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    store.objects[path] = {"metadata": {"name": "trainjobs-runner", "namespace": "team"}, "roleRef": role}
    with pytest.raises(NameTakenError, match="RoleBinding team/trainjobs-runner"):
        reconciler.reconcile(KEY)
    assert reconciler.trainjobs.get(KEY)["status"]["conditions"][0]["reason"] == "NameTaken"


SERVICE = "/api/v1/namespaces/team/services/mnist"
POLICY = "/apis/networking.k8s.io/v1/namespaces/team/networkpolicies/mnist"


@pytest.mark.parametrize(
    ("path", "edit"),
    [
        (SERVICE, {"selector": {"app": "web"}}),
        (POLICY, {"podSelector": {"matchLabels": {"trainjobs.dev/trainjob": "mnist", "not": "it"}}}),
        (POLICY, {"ingress": [{}]}),
        (POLICY, {"policyTypes": []}),
    ],
)
def test_what_is_edited_beside_a_job_is_brought_back_and_then_left_alone(
    reconciler, store, trainjob, path, edit
):
    trainjob()
    reconciler.reconcile(KEY)
    found = store.objects[path]
    store.version += 1
    metadata = {**found["metadata"], "resourceVersion": str(store.version)}
    store.objects[path] = {**found, "metadata": metadata, "spec": {**found["spec"], **edit}}
    resource = SERVICES if path is SERVICE else NETWORK_POLICIES
    reconciler.guards[resource].put(store.objects[path])
    for _ in range(3):
        reconciler.reconcile(KEY)
    assert store.objects[path]["spec"] == found["spec"]
    assert len([line for line in store.log if line.startswith(f"PATCH {resource.plural}")]) == 1


def test_what_stood_beside_a_job_that_has_ended_may_go(reconciler, store, trainjob):
    trainjob()
    reconciler.reconcile(KEY)
    store.version += 1
    made = store.objects["/apis/batch/v1/namespaces/team/jobs/mnist"]
    ended = {
        "conditions": [{"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-21T10:00:00Z"}]
    }
    metadata = {**made["metadata"], "resourceVersion": str(store.version)}
    reconciler.jobs.put({**made, "metadata": metadata, "status": ended})
    gone = store.objects.pop(SERVICE)
    reconciler.guards[SERVICES].remove({**gone, "metadata": {**metadata, "resourceVersion": "9999"}})
    reconciler.reconcile(KEY)
    assert SERVICE not in store.objects


def test_a_name_that_stays_taken_is_looked_at_without_a_write(reconciler, store, trainjob):
    trainjob()
    store.objects["/api/v1/namespaces/team/services/mnist"] = {"metadata": {"name": "mnist"}}
    for _ in range(2):
        with pytest.raises(NameTakenError):
            reconciler.reconcile(KEY)
    assert store.log.count("PATCH trainjobs/mnist/status") == 1
    store.log.clear()
    with pytest.raises(NameTakenError):
        reconciler.reconcile(KEY)
    assert store.log == ["POST secrets/mnist-ray-token-me"]  # refused: nobody may look whether it is there


@pytest.mark.parametrize(
    ("lost", "error", "reason"),
    [
        ("POST services/mnist", NameTakenError("the Service is somebody else's"), "NameTaken"),
        ("POST jobs/mnist", ApiError(403, "Forbidden", "exceeded quota: count/jobs.batch"), "Forbidden"),
    ],
)
def test_what_is_refused_for_the_whole_startup_deadline_ends_the_trainjob(
    reconciler, store, trainjob, lost, error, reason
):
    trainjob(startupDeadlineSeconds=20)
    store.refuse[lost] = error
    for wait_s, end in ((0, "Running"), (15, "Running"), (21, "Failed")):
        later = replace(reconciler, now=lambda wait_s=wait_s: NOW + timedelta(seconds=wait_s))
        with pytest.raises(type(error)):
            later.reconcile(KEY)
        status = reconciler.trainjobs.get(KEY)["status"]
        assert (status["conditions"][0]["type"], status["conditions"][0]["reason"]) == (end, reason)
        assert ("completionTime" in status) is (end == "Failed")
    store.log.clear()
    reconciler.reconcile(KEY)
    assert store.log == []


GOING = ApiError(403, "Forbidden", "it is being terminated", causes=("NamespaceTerminating",))


def test_a_namespace_that_is_going_is_no_state_of_its_trainjob(reconciler, store, trainjob):
    trainjob()
    store.refuse["POST secrets/mnist-ray-token-me"] = GOING
    with pytest.raises(ApiError):
        reconciler.reconcile(KEY)
    assert not [line for line in store.log if "status" in line]


def test_nobody_is_warned_of_an_event_in_a_namespace_that_is_going(reconciler, store, trainjob, caplog):
    trainjob(stop={"reason": "enough"})
    store.refuse["POST events"] = GOING
    with caplog.at_level("WARNING"):
        reconciler.reconcile(KEY)
    assert "POST events" in store.log
    assert caplog.records == []


@pytest.mark.parametrize(
    ("known", "wanted", "expected"),
    [
        ({"a": 1, "default": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": [{"c": 1, "default": 2}]}}, {"a": {"b": [{"c": 1}]}}, True),
        ({"a": {"b": 1}}, {"a": {"c": None}}, True),
        ({"a": {"c": 1}}, {"a": {"c": None}}, False),
        ([1, 2], [1], False),
        ({"a": [1]}, {"a": {"0": 1}}, False),
    ],
)
def test_what_is_wanted_may_have_defaults_around_it(known, wanted, expected):
    assert contains(known, wanted) is expected


@pytest.mark.parametrize("lost", ["POST services/mnist", "POST jobs/mnist", "PATCH trainjobs/mnist/status"])
def test_a_pass_that_is_cut_off_is_finished_by_the_next_one(reconciler, store, trainjob, lost):
    trainjob()
    store.refuse[lost] = TransportError("lost")
    with pytest.raises(TransportError):
        reconciler.reconcile(KEY)
    token = store.objects["/api/v1/namespaces/team/secrets/mnist-ray-token-me"]
    store.refuse.clear()
    reconciler.reconcile(KEY)
    reconciler.reconcile(KEY)
    assert "/apis/batch/v1/namespaces/team/jobs/mnist" in store.objects
    assert store.objects["/api/v1/namespaces/team/secrets/mnist-ray-token-me"] is token


def test_an_event_that_is_lost_is_lost(reconciler, store, trainjob):
    trainjob(stop={"reason": "enough"})
    store.refuse["POST events"] = TransportError("lost")
    assert reconciler.reconcile(KEY) == 0


def test_a_job_that_is_refused_fails_the_trainjob_with_the_servers_words(reconciler, store, trainjob):
    trainjob()
    store.refuse["POST jobs/mnist"] = ApiError(
        422, "Invalid", "spec.template: nonsense", causes=("FieldValueInvalid",)
    )
    for _ in range(2):
        assert reconciler.reconcile(KEY) is None  # nothing but a change can help, and that is heard of
    (told, *_) = reconciler.trainjobs.get(KEY)["status"]["conditions"]
    assert (told["type"], told["reason"], told["message"]) == (
        "Failed",
        "InvalidSpec",
        "spec.template: nonsense",
    )
    assert store.log.count("PATCH trainjobs/mnist/status") == 1


@pytest.mark.parametrize(
    ("owners", "reason"),
    [
        ([], "Starting"),
        ([{"uid": "another", "controller": True}], "Starting"),
        ([{"uid": f"uid-{JOB}"}], "Starting"),
        ([{"uid": f"uid-{JOB}", "controller": True}], "ImagePullBackOff"),
    ],
    ids=str,
)
def test_a_pod_speaks_for_a_run_when_its_job_has_made_it_whatever_its_labels_say(
    reconciler, store, trainjob, owners, reason
):
    trainjob()
    reconciler.reconcile(KEY)
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    store.objects["/api/v1/namespaces/team/pods/mnist-0-abcde"] = {
        "metadata": {"name": "mnist-0-abcde", "labels": {LABEL: "mnist"}, "ownerReferences": owners},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "trainer", **waiting}]},
    }
    job = store.objects[JOB]
    store.version += 1
    newer = {**job["metadata"], "resourceVersion": str(store.version)}
    reconciler.jobs.put(
        {**job, "metadata": newer, "status": {"startTime": "2026-11-21T09:59:00Z", "active": 1}}
    )
    reconciler.reconcile(KEY)
    assert reconciler.trainjobs.get(KEY)["status"]["conditions"][0]["reason"] == reason


def test_a_pass_that_breaks_says_so_in_the_trainjob_and_gives_the_nodes_back(reconciler, store, trainjob):
    trainjob()
    reconciler.reconcile(KEY)
    suspended = {**reconciler.trainjobs.get(KEY), "spec": {**trainjob()["spec"], "suspend": True}}
    suspended["metadata"] = {**suspended["metadata"], "resourceVersion": str(store.version + 1)}
    reconciler.trainjobs.put(suspended)
    store.objects["/apis/trainjobs.dev/v1alpha1/namespaces/team/trainjobs/mnist"] = suspended
    store.version += 1
    odd = replace(reconciler, now=lambda: NOW.replace(tzinfo=None))
    store.log.clear()
    with pytest.raises(TypeError):
        odd.reconcile(KEY)
    assert store.log[:2] == ["PATCH jobs/mnist", "PATCH trainjobs/mnist/status"]
    assert store.objects["/apis/batch/v1/namespaces/team/jobs/mnist"]["spec"]["suspend"] is True
    (told, *_) = reconciler.trainjobs.get(KEY)["status"]["conditions"]
    assert (told["type"], told["reason"]) == ("Running", "OperatorError")
    assert "TypeError: can't compare" in told["message"]
    store.log.clear()
    with pytest.raises(TypeError):
        odd.reconcile(KEY)
    assert store.log == []
    reconciler.reconcile(KEY)
    assert reconciler.trainjobs.get(KEY)["status"]["conditions"][0]["reason"] == "Suspended"


def test_a_pass_that_breaks_over_the_job_says_so_too(reconciler, store, trainjob):
    trainjob()
    reconciler.reconcile(KEY)
    known = store.objects[JOB]
    store.version += 1
    odd = {"resourceVersion": str(store.version)}
    reconciler.jobs.put(
        {**known, "spec": {**known["spec"], "completions": "two"}, "metadata": {**known["metadata"], **odd}}
    )
    store.log.clear()
    with pytest.raises(TypeError):
        reconciler.reconcile(KEY)
    assert store.log[:1] == ["PATCH trainjobs/mnist/status"]
    (told, *_) = reconciler.trainjobs.get(KEY)["status"]["conditions"]
    assert (told["reason"], "TypeError" in told["message"]) == ("OperatorError", True)


def test_a_pass_that_breaks_takes_no_end_back(reconciler, store, trainjob):
    trainjob(stop={}, ttlSecondsAfterFinished=60)
    reconciler.reconcile(KEY)
    ended = reconciler.trainjobs.get(KEY)
    store.log.clear()
    with pytest.raises(TypeError):
        replace(reconciler, now=lambda: NOW.replace(tzinfo=None)).reconcile(KEY)
    assert (store.log, reconciler.trainjobs.get(KEY)) == ([], ended)


def test_a_trainjob_whose_time_has_come_is_deleted_and_not_written_to(reconciler, store, trainjob):
    trainjob(stop={}, ttlSecondsAfterFinished=0)
    reconciler.reconcile(KEY)
    store.log.clear()
    reconciler.reconcile(KEY)
    assert store.log == ["DELETE trainjobs/mnist"]


def test_an_end_stays_also_when_the_trainjob_may_not_be_deleted(reconciler, store, trainjob):
    trainjob(stop={}, ttlSecondsAfterFinished=0)
    reconciler.reconcile(KEY)
    ended = reconciler.trainjobs.get(KEY)["status"]
    store.log.clear()
    store.refuse["DELETE trainjobs/mnist"] = ApiError(403, "Forbidden", "not yet")
    with pytest.raises(ApiError):
        reconciler.reconcile(KEY)
    assert store.log == ["DELETE trainjobs/mnist"]
    assert reconciler.trainjobs.get(KEY)["status"] == ended


CONFLICT = ApiError(409, "Conflict", "the object has been modified")


@pytest.mark.parametrize(("stop", "writes"), [(False, 2), (True, 1)])
def test_what_a_run_writes_meanwhile_is_written_beside_but_not_with_an_end(
    reconciler, store, trainjob, stop, writes
):
    trainjob(**({"stop": {}} if stop else {"suspend": True}))
    store.refuse["PATCH trainjobs/mnist/status"] = CONFLICT
    with pytest.raises(ApiError, match="409"):
        reconciler.reconcile(KEY)
    assert store.log.count("PATCH trainjobs/mnist/status") == writes
