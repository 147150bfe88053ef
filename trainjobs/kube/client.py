"""What is done with the API server, verb by verb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from trainjobs.kube.resources import Key, Object, Resource, key_of, resource_of
from trainjobs.kube.transport import ApiError, TooLongError, Transport

FIELD_MANAGER: Final = "trainjobs-operator"
PAGE: Final = 100
"""Objects in one answer to a list, unless they are so long that it would be longer than this process takes."""
FEWER: Final = 5
"""Of a page that was too long the next attempt is this part: 20, 4, 1 objects."""


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects of a resource at one moment."""

    items: Iterable[Object]
    """To be gone through: they need not be in memory all at once."""
    resource_version: str
    """The moment, from which a watch goes on."""


@dataclass(frozen=True, slots=True)
class KubeClient:
    """Reads and writes; every error is the transport's."""

    transport: Transport
    manager: str = FIELD_MANAGER
    """Who writes, as the API server notes it beside each field."""

    def list(
        self,
        resource: Resource,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
    ) -> Listing:
        """All objects. Raises ApiError 410 when a page came too late."""
        items: list[Object] = []
        for page in self.pages(resource, namespace, labels, fields):
            items += page.items
        return Listing(items, page.resource_version)

    def pages(
        self, resource: Resource, namespace: str = "", labels: str = "", fields: str = ""
    ) -> Iterator[Listing]:
        """All objects, page by page, all of one moment; at least one page. Raises ApiError 410 when one came too
        late."""
        limit = PAGE
        query = {
            **({"labelSelector": labels} if labels else {}),
            **({"fieldSelector": fields} if fields else {}),
        }
        while True:
            try:
                page = self.transport.request("GET", resource.path(namespace), {**query, "limit": str(limit)})
            except TooLongError:
                if limit == 1:
                    raise
                limit = max(1, limit // FEWER)
                continue
            yield Listing(page.get("items") or (), page["metadata"]["resourceVersion"])
            proceed = page["metadata"].get("continue", "")
            if not proceed:
                return
            query["continue"] = proceed

    def watch(
        self,
        resource: Resource,
        namespace: str,
        labels: str,
        resource_version: str,
        timeout_s: int,
        silence_s: float,
        fields: str = "",
    ) -> Iterator[Object]:
        """Events since a moment, bookmarks included, for at most `timeout_s` seconds; without a moment, first what
        there is. Raises ApiError also for an error among the events."""
        query = {
            "resourceVersion": resource_version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(timeout_s),
            **({"labelSelector": labels} if labels else {}),
            **({"fieldSelector": fields} if fields else {}),
        }
        for event in self.transport.stream(resource.path(namespace), query, silence_s):
            if event["type"] == "ERROR":
                said = event["object"]
                raise ApiError(said.get("code", 500), said.get("reason", ""), said.get("message", ""))
            yield event

    def get(self, resource: Resource, key: Key, fresh: bool = True) -> Object | None:
        """One object, or None. Unless `fresh`, from the API server's memory: cheap, and perhaps seconds old."""
        try:
            return self.transport.request(
                "GET", resource.path(*key), {} if fresh else {"resourceVersion": "0"}
            )
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, item: Object) -> Object:
        """Make an object that is not there. Raises ApiError 409 when it is."""
        return self.transport.request(
            "POST", resource_of(item).path(key_of(item).namespace), {"fieldManager": self.manager}, item
        )

    def ensure(self, item: Object) -> bool:
        """Make an object unless one of its name is there, which is not looked at; whether it was made."""
        try:
            self.create(item)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            return False
        return True

    def apply(self, item: Object) -> Object:
        """Server-side apply: the fields of `item` become so, whoever has set them, and the others stay."""
        return self.transport.request(
            "PATCH",
            resource_of(item).path(*key_of(item)),
            {"fieldManager": self.manager, "force": "true"},
            item,
            "application/apply-patch+yaml",
        )

    def replace(self, item: Object) -> Object:
        """Write a whole object. Raises ApiError 409 when it has changed since it was read."""
        return self.transport.request(
            "PUT", resource_of(item).path(*key_of(item)), {"fieldManager": self.manager}, item
        )

    def patch(self, resource: Resource, key: Key, body: Object, subresource: str = "") -> Object:
        """Merge into an object, or into a part of it. With a resourceVersion in `body`, only into that very version
        (else ApiError 409)."""
        return self.transport.request(
            "PATCH",
            resource.path(*key, subresource),
            {"fieldManager": self.manager},
            body,
            "application/merge-patch+json",
        )

    def patch_status(self, resource: Resource, key: Key, resource_version: str, status: Object) -> Object:
        """Merge into the status. Raises ApiError 409 when the object has changed since that version."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        return self.patch(resource, key, body, "status")

    def patch_status_meanwhile(self, resource: Resource, key: Key, known: Object, status: Object) -> Object:
        """Set these fields of the status of this very object, whatever others write into it at the same time; not
        (ApiError 422) if its spec or one of these fields has changed since it was `known`. A JSON patch (RFC 6902)."""
        metadata, before = known["metadata"], known.get("status") or {}
        is_so = {
            "/metadata/uid": metadata["uid"],
            "/metadata/generation": metadata.get("generation"),
            **{f"/status/{name}": before.get(name) for name in status},
        }
        steps = [
            *({"op": "test", "path": path, "value": value} for path, value in is_so.items()),
            *({"op": "add", "path": f"/status/{name}", "value": value} for name, value in status.items()),
        ]
        return self.transport.request(
            "PATCH",
            resource.path(*key, "status"),
            {"fieldManager": self.manager},
            steps,
            "application/json-patch+json",
        )

    def delete(self, resource: Resource, key: Key, uid: str) -> None:
        """Delete this very object, its dependents after it; nothing if it is gone or another has its name."""
        body: Object = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            self.transport.request("DELETE", resource.path(*key), {}, body)
        except ApiError as error:
            if error.status == 404 or (error.status == 409 and not self._is_there(resource, key, uid)):
                return
            raise

    def _is_there(self, resource: Resource, key: Key, uid: str) -> bool:
        known = self.get(resource, key)
        return known is not None and known["metadata"]["uid"] == uid
