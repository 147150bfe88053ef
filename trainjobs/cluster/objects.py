"""The objects of one kind in a namespace: what a person asks of them, whatever the kind."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from trainjobs.api.pod_contract import LABELS
from trainjobs.api.reasons import OPERATOR
from trainjobs.cluster.conditioned import Conditioned
from trainjobs.cluster.packing import is_same_code, owned
from trainjobs.cluster.pods import Event, PodState, event_of, pod_of
from trainjobs.exits import CannotCreate, ConfigError, NoInput, NoPermission, StorageError
from trainjobs.kube.backoff import Backoff
from trainjobs.kube.client import KubeClient
from trainjobs.kube.resources import CONFIG_MAPS, EVENTS, PODS, Key, Object, Resource
from trainjobs.kube.transport import ApiError, TransportError

if TYPE_CHECKING:
    from trainjobs.api.metadata import Metadata

WATCH_S: Final = 240
SILENCE_S: Final = WATCH_S + 30.0
BACKOFF: Final = Backoff(first_s=0.5, longest_s=10.0)
_REFUSED: Final = {401, 403}

T_co = TypeVar("T_co", bound=Conditioned, covariant=True)


class Objects(Generic[T_co]):
    """Those of one kind, by the rights of whoever calls.

    Every method raises NoPermission where the API server refuses, and StorageError where it does not answer.

    Args:
        of: reads one.
        namespace: where they are.
        named: the user has named it, so a manifest may name no other.
    """

    def __init__(
        self,
        resource: Resource,
        of: Callable[[Object], T_co],
        kube: KubeClient,
        namespace: str,
        *,
        named: bool,
    ) -> None:
        self.namespace = namespace
        self._named = named
        self._kube = kube
        self._resource = resource
        self._of = of

    @property
    def kind(self) -> str:
        """Such as TrainJob."""
        return self._resource.kind

    def list(self, *, all_namespaces: bool = False) -> builtins.list[T_co]:
        """Those of the namespace, or of all."""
        with answered("list"):
            found = self._kube.list(self._resource, "" if all_namespaces else self.namespace)
            return [self._of(item) for item in found.items]

    def get(self, name: str) -> T_co:
        """One of them. Raises NoInput where it is not there."""
        with answered(f"get {name}"):
            raw = self._kube.get(self._resource, Key(self.namespace, name))
        if raw is None:
            raise NoInput(f"there is no {self._resource.kind} {name} in namespace {self.namespace}")
        return self._of(raw)

    def pods(self, name: str) -> builtins.list[PodState]:
        """Its pods, in the order of their indices."""
        with answered(f"pods of {name}"):
            found = self._kube.list(PODS, self.namespace, f"{LABELS[self.kind]}={name}")
            return sorted(map(pod_of, found.items), key=lambda pod: (len(pod.index), pod.index, pod.name))

    def events(self, name: str) -> builtins.list[Event]:
        """What Kubernetes has recorded about it and its Job, oldest first; it forgets after an hour. What the operator
        has recorded is in its conditions."""
        with answered(f"events of {name}"):
            found = self._kube.list(EVENTS, self.namespace, fields=f"regarding.name={name}").items
            others = [raw for raw in found if raw.get("reportingController") != OPERATOR]
            return list(map(event_of, sorted(others, key=lambda raw: raw["metadata"]["creationTimestamp"])))

    def stop(self, name: str, reason: str = "") -> T_co:
        """Ask for a halt at one step on every rank; it is complete then. Raises NoInput."""
        return self._ask(name, {"stop": {"reason": reason}})

    def suspend(self, name: str, suspend: bool = True) -> T_co:
        """Halt after a checkpoint and release the nodes; with False, go on. Raises NoInput."""
        return self._ask(name, {"suspend": suspend})

    def delete(self, name: str) -> None:
        """Delete it with all that belongs to it but its storage. Raises NoInput."""
        found = self.get(name)
        with answered(f"delete {name}"):
            self._kube.delete(self._resource, found.key, found.uid)

    def watch(self, name: str, lost: Callable[[Exception], object] = lambda error: None) -> Iterator[T_co]:
        """The object now, and after each change, until it has ended. A connection that breaks is made again.

        Args:
            lost: called with the error of each connection that breaks.

        Raises NoInput where it is not there, is deleted, or is replaced by another one of its name.
        """
        seen = self.get(name)
        uid, failures = seen.uid, 0
        while True:
            try:
                for seen in self._changes(name, uid):
                    failures = 0
                    yield seen
                    if seen.ended:
                        return
            except TransportError as error:
                if isinstance(error, ApiError) and error.status in _REFUSED:
                    raise NoPermission(f"watch {name}: {error.message}") from error
                failures += 1
                lost(error)
                time.sleep(BACKOFF.after(failures))

    def _made(self, document: Object, files: Object | None, make: Callable[[Object], Object]) -> T_co:
        """Make an object, and then the ConfigMap that is to go with it: of one that is there, as of an earlier object
        of that name and code, it becomes an owner, so that it stays. Raises CannotCreate: others' files are in it."""
        if files:
            self._refuse_others(Key(document["metadata"]["namespace"], files["metadata"]["name"]), files)
        with answered(f"{self._resource.kind} {document['metadata']['name']}"):
            made = make(document)
        if files:
            with answered(f"create ConfigMap {files['metadata']['name']}"):
                self._kube.apply(owned(files, made))
        return self._of(made)

    def _refuse_others(self, key: Key, files: Object) -> None:
        with answered(f"get ConfigMap {key.name}"):
            known = self._kube.get(CONFIG_MAPS, key)
        if known is not None and not is_same_code(known, files):
            raise CannotCreate(
                f"the ConfigMap {key.name} in namespace {key.namespace} is not the one of this code, whose name it "
                "has: delete it, or give what you submit another name (--set metadata.name=…)"
            )

    def _namespace_of(self, metadata: Metadata) -> str:
        written = metadata.namespace
        if written and self._named and written != self.namespace:
            raise ConfigError(
                f"metadata.namespace: {written}: the namespace asked for is {self.namespace}: leave out one of them"
            )
        return written or self.namespace

    def _changes(self, name: str, uid: str) -> Iterator[T_co]:
        resource, only = self._resource, f"metadata.name={name}"
        for event in self._kube.watch(resource, self.namespace, "", "", WATCH_S, SILENCE_S, fields=only):
            if event["type"] == "BOOKMARK":
                continue
            if event["type"] == "DELETED" or event["object"]["metadata"]["uid"] != uid:
                raise NoInput(f"{resource.kind} {name} was deleted")
            yield self._of(event["object"])

    def _ask(self, name: str, wish: Object) -> T_co:
        found = self.get(name)
        with answered(f"change {name}"):
            return self._of(self._kube.patch(self._resource, found.key, {"spec": wish}))


@contextmanager
def answered(doing: str) -> Iterator[None]:
    """Turn what the API server refuses into the user's error."""
    try:
        yield
    except ApiError as error:
        if error.status in _REFUSED:
            raise NoPermission(f"{doing}: {error.message}") from error
        if error.status in {400, 422}:
            raise ConfigError(f"{doing}: {error.message}") from error
        if error.status == 404:
            raise NoInput(f"{doing}: {error.message or 'not found'}; is the operator installed?") from error
        raise StorageError(f"{doing}: {error}") from error
    except TransportError as error:
        raise StorageError(f"{doing}: the API server does not answer: {error}") from error
