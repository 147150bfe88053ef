"""What an answer that says no means for the verb that was tried."""

import pytest

from trainjobs.kube.client import FEWER, PAGE, KubeClient
from trainjobs.kube.resources import JOBS, Key
from trainjobs.kube.transport import ApiError, TooLongError

KEY = Key("team", "mnist")


@pytest.mark.parametrize("found", ["successor", None])
def test_a_delete_is_done_when_this_very_object_is_gone(script, item, api_error, found):
    script.answers = [api_error(409), item("mnist", 9, uid=found) if found else api_error(404)]
    KubeClient(script).delete(JOBS, KEY, "me")
    assert [method for method, *_ in script.asked] == ["DELETE", "GET"]


def test_a_delete_that_met_a_conflict_is_not_done(script, item, api_error):
    script.answers = [api_error(409), item("mnist", 9, uid="me")]
    with pytest.raises(ApiError):
        KubeClient(script).delete(JOBS, KEY, "me")


def page(*items, proceed=""):
    return {"items": list(items), "metadata": {"resourceVersion": "5", "continue": proceed}}


def test_a_page_that_is_too_long_is_asked_for_again_with_fewer_objects(script, item):
    script.answers = [page(item("a", 1), proceed="b"), TooLongError("long"), page(item("b", 2), proceed="c"),
                      page(item("c", 3))]  # fmt: skip
    found = KubeClient(script).list(JOBS)
    assert [each["metadata"]["name"] for each in found.items] == ["a", "b", "c"]
    asked = [(int(query["limit"]), query.get("continue", "")) for _, _, query, _ in script.asked]
    assert asked == [(PAGE, ""), (PAGE, "b"), (PAGE // FEWER, "b"), (PAGE // FEWER, "c")]


def test_one_object_that_is_too_long_ends_the_list(script):
    script.answers = [TooLongError("long")] * 9
    with pytest.raises(TooLongError):
        KubeClient(script).list(JOBS)
    assert [query["limit"] for _, _, query, _ in script.asked] == ["100", "20", "4", "1"]
