"""Objects are found by paths that nothing in a name can leave, and by the kind that they say."""

import pytest

from trainjobs.kube.resources import JOBS, LEASES, PODS, TRAINJOBS, Key, key_of, resource_of

TRAINJOB_PATH = "/apis/trainjobs.dev/v1alpha1"


@pytest.mark.parametrize(
    ("resource", "place", "path"),
    [
        (PODS, (), "/api/v1/pods"),
        (PODS, ("team",), "/api/v1/namespaces/team/pods"),
        (PODS, ("team", "a-0"), "/api/v1/namespaces/team/pods/a-0"),
        (JOBS, ("team", "a"), "/apis/batch/v1/namespaces/team/jobs/a"),
        (TRAINJOBS, (), f"{TRAINJOB_PATH}/trainjobs"),
        (TRAINJOBS, ("team", "a", "status"), f"{TRAINJOB_PATH}/namespaces/team/trainjobs/a/status"),
        (PODS, ("a/b", "../x"), "/api/v1/namespaces/a%2Fb/pods/..%2Fx"),
        (PODS, ("team", "a?b#c", "log"), "/api/v1/namespaces/team/pods/a%3Fb%23c/log"),
    ],
)
def test_a_path_leads_to_all_to_those_of_a_namespace_to_one_or_to_a_part_of_one(resource, place, path):
    assert resource.path(*place) == path


@pytest.mark.parametrize(
    ("metadata", "key", "text"),
    [
        ({"namespace": "team", "name": "a"}, Key("team", "a"), "team/a"),
        ({"name": "a"}, Key("", "a"), "/a"),
    ],
)
def test_the_key_of_an_object_is_its_namespace_and_name(metadata, key, text):
    assert (key_of({"metadata": metadata}), str(key)) == (key, text)


@pytest.mark.parametrize("resource", [TRAINJOBS, JOBS, PODS, LEASES], ids=lambda resource: resource.kind)
def test_an_object_says_of_which_kind_it_is(resource):
    assert resource_of({"apiVersion": resource.api_version, "kind": resource.kind}) is resource


def test_a_kind_is_one_of_its_own_group_only():
    with pytest.raises(KeyError):
        resource_of({"apiVersion": "v1", "kind": "Event"})
