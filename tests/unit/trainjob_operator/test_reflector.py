"""Lists, watches and every way in which they end."""

import threading

import pytest

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.reflector import STEADY_S, Reflector
from trainjobs.kube.backoff import Backoff
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import TRAINJOBS, Key
from trainjobs.kube.transport import TransportError

STOP = threading.Event()


@pytest.fixture
def world(script, clock):
    class World:
        cache = Cache()
        changed: list[str]
        asked = script.asked

        def __init__(self):
            self.changed = []
            self.reflector = Reflector(
                KubeClient(script),
                TRAINJOBS,
                self.cache,
                lambda key: self.changed.append(key.name),
                backoff=Backoff(1, 30, random=lambda: 1.0),
                clock=clock,
            )

        def steps(self, *answers):
            """Give these answers and return the delays that follow them."""
            script.answers += answers
            delays = []
            while script.answers:
                delays.append(self.reflector.step(STOP))
            return delays

        def kinds(self):
            return ["list" if method == "GET" else "watch" for method, *_ in script.asked]

        def version(self, name):
            return self.cache.get(Key("team", name))["metadata"]["resourceVersion"]

    World.cache = Cache()
    return World()


def page(*items, version=10, proceed=""):
    return {"metadata": {"resourceVersion": str(version), "continue": proceed}, "items": list(items)}


def event(kind, thing):
    return {"type": kind, "object": thing}


def lasting(clock, *events):
    """A watch that lasts long enough to be a success."""

    def answer():
        clock.now += STEADY_S
        return list(events)

    return answer


def test_a_list_fills_the_cache_and_wakes_every_key(world, item):
    assert not world.reflector.synced.is_set()
    assert world.steps(page(item("a", 1), item("b", 2))) == [0]
    assert world.reflector.synced.is_set()
    assert sorted(world.changed) == ["a", "b"]


def test_one_namespace_is_listed_and_watched_by_its_path(script, item, clock):
    cache = Cache()
    reflector = Reflector(KubeClient(script), TRAINJOBS, cache, print, namespace="team", clock=clock)
    cache.put(item("b", 1, namespace="other"))
    script.answers += [page(item("a", 1)), lasting(clock)]
    reflector.step(STOP)
    reflector.step(STOP)
    assert {path for _, path, *_ in script.asked} == {TRAINJOBS.path("team")}
    assert sorted(cache.keys()) == [Key("other", "b"), Key("team", "a")]


def test_a_list_comes_in_pages(world, item):
    world.steps(page(item("a", 1), proceed="next"), page(item("b", 2)))
    assert sorted(world.changed) == ["a", "b"]
    assert [asked[2].get("continue") for asked in world.asked] == [None, "next"]


def test_a_page_is_made_small_before_the_next_is_asked_for(script, clock, item):
    kept_when_asked = []
    kept = []

    def projection(whole):
        kept.append(whole["metadata"]["name"])
        return whole

    def second():
        kept_when_asked.extend(kept)
        return page(item("b", 2))

    script.answers += [page(item("a", 1), proceed="next"), second]
    Reflector(KubeClient(script), TRAINJOBS, Cache(projection), print, clock=clock).step(STOP)
    assert (kept_when_asked, kept) == (["a"], ["a", "b"])


def test_items_of_a_list_get_their_kind(world, item):
    bare = {"metadata": item("a", 1)["metadata"]}
    world.steps(page(bare))
    assert world.cache.get(Key("team", "a"))["kind"] == "TrainJob"


def test_a_watch_goes_on_from_the_list_and_from_each_event_and_bookmark(world, item, clock):
    world.steps(
        page(version=10),
        lasting(clock, event("ADDED", item("a", 11)), event("BOOKMARK", item("", 15))),
        lasting(clock, event("MODIFIED", item("a", 16)), event("DELETED", item("a", 17))),
        lasting(clock),
    )
    assert [asked[2].get("resourceVersion") for asked in world.asked[1:]] == ["10", "15", "17"]
    assert all(asked[2]["allowWatchBookmarks"] == "true" for asked in world.asked[1:])
    assert world.changed == ["a", "a", "a"]
    assert len(world.cache) == 0


def test_an_event_that_is_older_than_our_own_write_wakes_nobody(world, item, clock):
    world.steps(page())
    world.cache.put(item("a", 20))
    world.steps(lasting(clock, event("MODIFIED", item("a", 19))))
    assert world.changed == []
    assert world.version("a") == "20"


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_every_error_is_followed_by_a_growing_delay(world, api_error, status):
    assert world.steps(api_error(status), api_error(status), api_error(status), page()) == [1, 2, 4, 0]


def test_the_server_may_ask_for_more_time(world, api_error):
    assert world.steps(api_error(429, retry_after_s=20)) == [20]


def test_a_broken_watch_goes_on_where_it_broke(world, item):
    delays = world.steps(page(), [event("ADDED", item("a", 11)), TransportError("reset")], [])
    assert delays[1] == 1
    assert world.kinds() == ["list", "watch", "watch"]
    assert world.asked[2][2]["resourceVersion"] == "11"


@pytest.mark.parametrize("how", ["answer", "event"])
def test_a_watch_from_too_long_ago_becomes_a_list(world, api_error, how):
    expired = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
    world.steps(page(), api_error(410, "Expired") if how == "answer" else [expired], page(version=50))
    assert world.kinds() == ["list", "watch", "list"]


def test_a_watch_that_fails_again_and_again_becomes_a_list(world, api_error):
    world.steps(page(), api_error(500), api_error(500), api_error(500), page())
    assert world.kinds() == ["list", "watch", "watch", "watch", "list"]


def test_a_server_that_ends_every_watch_at_once_is_not_hammered(world):
    assert world.steps(page(), [], [], []) == [0, 1, 2, 4]


def test_a_watch_that_lasted_is_followed_by_the_next_at_once(world, clock):
    assert world.steps(page(), [], lasting(clock), []) == [0, 1, 0, 1]


def test_a_relist_wakes_only_what_changed(world, item, api_error):
    world.steps(page(item("a", 1), item("b", 2)), api_error(410))
    world.changed.clear()
    world.steps(page(item("a", 1), item("b", 12), version=20))
    assert world.changed == ["b"]


def test_an_item_that_nobody_can_work_with_is_passed_over(script, clock, item):
    cache = Cache(lambda whole: {**whole, "spec": whole["spec"]})
    reflector = Reflector(KubeClient(script), TRAINJOBS, cache, print, clock=clock)
    script.answers += [page(item("odd", 1), {**item("a", 2), "spec": {}})]
    assert reflector.step(STOP) == 0
    assert cache.keys() == [Key("team", "a")]


def test_an_event_that_nobody_can_work_with_is_passed_over_too(script, clock, item):
    cache = Cache(lambda whole: {**whole, "spec": whole["spec"]})
    reflector = Reflector(KubeClient(script), TRAINJOBS, cache, print, clock=clock)
    odd, good = event("MODIFIED", item("odd", 11)), event("ADDED", {**item("a", 12), "spec": {}})
    script.answers += [page(), lasting(clock, odd, good)]
    assert [reflector.step(STOP), reflector.step(STOP)] == [0, 0]
    assert cache.keys() == [Key("team", "a")]


def test_whatever_a_watch_brings_is_followed_by_a_list_and_a_delay(world, item, clock):
    nonsense = {"type": "MODIFIED", "object": {}}
    delays = world.steps(page(item("a", 1)), lasting(clock, nonsense), page(item("a", 1), version=12))
    assert world.kinds() == ["list", "watch", "list"]
    assert delays[1:] == [1, 0]
