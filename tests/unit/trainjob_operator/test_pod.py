"""The pod template: what is in it, and what a user may change."""

import pytest

from trainjob_operator.trainjob.objects.pod import template
from trainjobs.api.manifest import parse
from trainjobs.api.pod_contract import INDEX_VARIABLE, PodEnvironment


def pod(trainer=None, **spec):
    raw = {
        "apiVersion": "trainjobs.dev/v1alpha1",
        "kind": "TrainJob",
        "metadata": {"name": "mnist", "namespace": "team", "uid": "me"},
        "spec": {"trainer": {"entrypoint": "train:train", "maxEpochs": 1, **(trainer or {})}, **spec},
    }
    return template(parse(raw), "default:1")


def variables(found):
    return {
        each["name"]: each.get("value", each.get("valueFrom"))
        for each in found["spec"]["containers"][0]["env"]
    }


def test_the_agent_is_told_where_it_is_and_ray_has_a_token():
    told = variables(pod({"numNodes": 3}))
    assert told["TRAINJOBS_HEAD"] == "mnist-0.mnist.team.svc"
    assert (told["TRAINJOBS_NAME"], told["TRAINJOBS_UID"], told["TRAINJOBS_NUM_NODES"]) == (
        "mnist",
        "me",
        "3",
    )
    assert told["RAY_AUTH_MODE"] == "token"


def test_a_users_variable_does_not_replace_ours():
    told = variables(
        pod({"env": [{"name": "RAY_AUTH_MODE", "value": "disabled"}, {"name": "A", "value": "1"}]})
    )
    assert (told["RAY_AUTH_MODE"], told["A"]) == ("token", "1")


@pytest.mark.parametrize("name", [*PodEnvironment.variables(), INDEX_VARIABLE])
def test_what_an_agent_is_told_nobody_else_tells_it(name):
    theirs = {"name": name, "value": "theirs"}
    by_trainer = pod({"env": [theirs]})
    by_template = pod(podTemplate={"spec": {"containers": [{"name": "trainer", "env": [theirs]}]}})
    for found in (by_trainer, by_template):
        named = [each for each in found["spec"]["containers"][0]["env"] if each["name"] == name]
        assert len(named) == 1  # and so does none of `envFrom`, since a variable of `env` goes before it
        assert named != [theirs]


def test_code_and_checkpoints_are_mounted():
    found = pod({"code": {"configMap": "c"}}, checkpoint={"storage": {"claimName": "p"}})
    assert {"name": "code", "configMap": {"name": "c"}} in found["spec"]["volumes"]
    assert {"name": "checkpoints", "persistentVolumeClaim": {"claimName": "p"}} in found["spec"]["volumes"]
    assert variables(found)["TRAINJOBS_STORAGE"] == "/trainjobs/checkpoints"
    assert variables(pod(checkpoint={"storage": {"uri": "s3://b/r"}}))["TRAINJOBS_STORAGE"] == "s3://b/r"


def test_the_users_template_is_merged_in_but_for_what_finds_the_pods():
    theirs = {
        "metadata": {"labels": {"team": "a", "trainjobs.dev/trainjob": "other"}, "annotations": {"n": "1"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [{"name": "trainer", "securityContext": {"runAsUser": 7}}],
        },
    }
    found = pod(podTemplate=theirs)
    assert found["metadata"] == {
        "labels": {"team": "a", "trainjobs.dev/trainjob": "mnist"},
        "annotations": {"n": "1"},
    }
    assert found["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert (found["spec"]["subdomain"], found["spec"]["restartPolicy"]) == ("mnist", "Never")
    (container,) = found["spec"]["containers"]
    assert container["securityContext"]["runAsUser"] == 7
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_neither_the_token_nor_who_the_agents_are_is_the_templates_to_change():
    container = {
        "name": "trainer",
        "env": [
            {"name": "RAY_AUTH_MODE", "value": "disabled"},
            {"name": "TRAINJOBS_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": "MINE", "value": "1"},
        ],
        "volumeMounts": [{"name": "mine", "mountPath": "/var/run/secrets/trainjobs.dev"}],
    }
    volumes = [{"name": "ray-token", "secret": {"secretName": "known"}}, {"name": "mine", "emptyDir": {}}]
    trainer = {"env": [{"name": "RAY_AUTH_MODE", "value": "disabled"}]}
    found = pod(trainer, podTemplate={"spec": {"containers": [container], "volumes": volumes}})
    told = variables(found)
    assert (told["RAY_AUTH_MODE"], told["TRAINJOBS_UID"], told["MINE"]) == ("token", "me", "1")
    token = {"secretName": "mnist-ray-token-me", "defaultMode": 0o440}
    assert {"name": "ray-token", "secret": token} in found["spec"]["volumes"]
    (mount,) = [
        mount
        for mount in found["spec"]["containers"][0]["volumeMounts"]
        if mount["mountPath"] == "/var/run/secrets/trainjobs.dev"
    ]
    assert mount["name"] == "ray-token"


def test_a_pod_with_the_nodes_network_finds_the_others_by_name_and_knows_its_own_address():
    found = pod(podTemplate={"spec": {"hostNetwork": True}})
    assert found["spec"]["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert variables(found)["TRAINJOBS_ADDRESS"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert "dnsPolicy" not in pod()["spec"]
    theirs = {"spec": {"hostNetwork": True, "dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.0.0.1"]}}}
    assert pod(podTemplate=theirs)["spec"]["dnsPolicy"] == "None"


def test_a_wrapper_replaces_the_command():
    wrapper = ["bash", "-c", "source /opt/env.sh; exec python -m trainjobs.pod"]
    found = pod(podTemplate={"spec": {"containers": [{"name": "trainer", "command": wrapper}]}})
    assert found["spec"]["containers"][0]["command"] == wrapper


def test_the_image_is_the_trainjobs_or_the_default():
    assert pod()["spec"]["containers"][0]["image"] == "default:1"
    assert pod({"image": "mine:2"})["spec"]["containers"][0]["image"] == "mine:2"


@pytest.mark.parametrize(
    ("trainer", "most"),
    [
        ({}, "8Gi"),
        ({"numProcPerNode": 4}, "32Gi"),
        ({"resourcesPerNode": {"requests": {"memory": "20Gi"}}}, "20Gi"),
        ({"resourcesPerNode": {"limits": {"memory": "40Gi"}, "requests": {"memory": "20Gi"}}}, "40Gi"),
        ({"resourcesPerNode": {"limits": {"cpu": "1"}}}, "8Gi"),
    ],
)
def test_no_volume_in_memory_is_without_a_limit(trainer, most):
    (limit,) = [
        volume["emptyDir"].get("sizeLimit")
        for volume in pod(trainer)["spec"]["volumes"]
        if volume.get("emptyDir", {}).get("medium") == "Memory"
    ]
    assert limit == most


def test_a_template_gives_shared_memory_of_another_size():
    mine = {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Ti"}}
    volumes = pod(podTemplate={"spec": {"volumes": [mine]}})["spec"]["volumes"]
    assert [volume for volume in volumes if volume["name"] == "shared-memory"] == [mine]


def test_the_pods_identity_is_the_trainers_alone():
    beside = {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "fetch"}]}
    spec = pod(podTemplate={"spec": beside})["spec"]
    assert spec["automountServiceAccountToken"] is False
    (name,) = [volume["name"] for volume in spec["volumes"] if "serviceAccountToken" in str(volume)]
    holders = [
        container["name"]
        for container in spec["containers"] + spec["initContainers"]
        if name in [mount["name"] for mount in container.get("volumeMounts", [])]
    ]
    assert holders == ["trainer"]
    (mount,) = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == name]
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"


def test_only_the_pods_user_and_group_read_rays_token():
    (secret,) = [volume["secret"] for volume in pod()["spec"]["volumes"] if volume["name"] == "ray-token"]
    assert secret["defaultMode"] & 0o007 == 0


@pytest.mark.parametrize(
    "source",
    [
        {"secret": {"secretName": "anybodys"}},
        {"configMap": {"name": "anybodys"}},
        {"persistentVolumeClaim": {"claimName": "anybodys"}},
    ],
)
def test_a_template_mounts_whatever_its_namespace_has(source):
    volume = {"name": "theirs", **source}
    assert volume in pod(podTemplate={"spec": {"volumes": [volume]}})["spec"]["volumes"]
