"""What replaces what in the cache."""

from trainjob_operator.core.cache import GRAVES, Cache, whole
from trainjobs.kube.resources import Key

A = Key("team", "a")


def version(cache, key=A):
    found = cache.get(key)
    return found and int(found["metadata"]["resourceVersion"])


def test_a_newer_state_replaces_an_older_one_and_never_the_other_way(item):
    cache = Cache()
    assert cache.put(item("a", 5))
    assert not cache.put(item("a", 4))
    assert not cache.put(item("a", 5))
    assert version(cache) == 5


def test_our_own_write_outlives_a_list_that_is_older(item):
    cache = Cache()
    cache.put(item("a", 10))
    assert cache.replace([], "8") == set()
    assert cache.replace([item("a", 7)], "8") == set()
    assert version(cache) == 10


def test_a_list_says_what_came_went_and_changed(item):
    cache = Cache()
    for name in ("gone", "same", "changed"):
        cache.put(item(name, 1))
    changed = cache.replace([item("same", 1), item("changed", 2), item("new", 3)], "5")
    assert {key.name for key in changed} == {"gone", "changed", "new"}
    assert {key.name for key in cache.keys()} == {"same", "changed", "new"}  # noqa: SIM118


def test_another_object_of_the_same_name_is_a_change(item):
    cache = Cache()
    cache.put(item("a", 1, uid="first"))
    assert cache.replace([item("a", 2, uid="second")], "3") == {A}
    assert cache.get(A)["metadata"]["uid"] == "second"


def test_a_late_answer_does_not_bring_back_what_is_deleted(item):
    cache = Cache()
    cache.put(item("a", 1))
    assert cache.remove(item("a", 5))
    assert not cache.put(item("a", 4))
    assert cache.replace([item("a", 4)], "4") == set()
    assert cache.get(A) is None
    assert cache.put(item("a", 6))


def test_an_old_deletion_does_not_remove_the_successor(item):
    cache = Cache()
    cache.put(item("a", 9))
    assert not cache.remove(item("a", 5))
    assert version(cache) == 9


def test_graves_do_not_pile_up(item):
    cache = Cache()
    for number in range(100):
        cache.remove(item(f"a{number}", number + 1))
    cache.replace([], "1000")
    assert cache._buried == {}


def test_graves_do_not_pile_up_while_a_watch_goes_on(item):
    cache = Cache()
    for number in range(GRAVES + 100):
        cache.remove(item(f"a{number}", number + 1))
    assert len(cache._buried) == GRAVES
    assert not cache.put(item(f"a{GRAVES + 99}", 1))


def test_a_list_of_one_namespace_says_nothing_about_the_others(item):
    cache = Cache()
    cache.put(item("a", 1))
    cache.put(item("a", 1, namespace="other"))
    cache.remove(item("b", 2, namespace="other"))
    assert cache.replace([], "5", "team") == {A}
    assert cache.keys() == [Key("other", "a")]
    assert not cache.put(item("b", 1, namespace="other"))


def test_nobody_keeps_the_managed_fields(item):
    assert "managedFields" not in whole(item("a", 1, managedFields=[{}]))["metadata"]
