"""An API server in a dictionary: objects by path, lists, watches, refusals."""

import threading

from trainjobs.kube.transport import ApiError


class Store:
    """An API server in a dictionary, for the order of writes; the real one is in the cluster tests."""

    def __init__(self) -> None:
        self.objects: dict[str, dict] = {}
        self.log: list[str] = []
        """Writes."""
        self.lists: list[str] = []
        self.version = 100
        self.refuse: dict[str, Exception] = {}
        self.ended = threading.Event()
        """Once set, watches end."""
        self._changed = threading.Condition()
        self._events: list[tuple[int, str, dict]] = []

    def request(self, method, path, query=None, body=None, content_type="application/json"):
        with self._changed:
            answer = self._answer(method, path, body)
            if method != "GET":
                kind = {"POST": "ADDED", "DELETE": "DELETED"}.get(method, "MODIFIED")
                self._events.append(
                    (self.version, path.removesuffix("/status"), {"type": kind, "object": answer})
                )
                self._changed.notify_all()
            return answer

    def _answer(self, method, path, body):
        if method == "POST" and not path.endswith("/events"):
            path += f"/{body['metadata']['name']}"
        what = f"{method} {path.rpartition('/team/')[2]}"
        if method != "GET":
            self.log.append(what)
        if what in self.refuse:
            raise self.refuse[what]
        self.version += 1
        if method == "GET" and (listed := self._collection(path)) is not None:
            return {"metadata": {"resourceVersion": str(self.version)}, "items": listed}
        if method == "GET":
            if path not in self.objects:
                raise ApiError(404, "NotFound", "no")
            return self.objects[path]
        if method == "POST" and path in self.objects:
            raise ApiError(409, "AlreadyExists", "it is there")
        if path.endswith("/status"):
            path = path.removesuffix("/status")
            body = {
                **self.objects[path],
                "status": {**self.objects[path].get("status", {}), **body["status"]},
            }
        if method == "DELETE":
            gone = self.objects.pop(path)
            return {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
        known = self.objects.get(path, {"metadata": {"uid": f"uid-{path}"}})
        metadata = {**known["metadata"], **body["metadata"], "resourceVersion": str(self.version)}
        for name in {"annotations", "labels"} & metadata.keys():
            metadata[name] = {**known["metadata"].get(name, {}), **metadata[name]}
        merged = {"spec": {**known["spec"], **body["spec"]}} if "spec" in known and "spec" in body else {}
        self.objects[path] = {**known, **body, **merged, "metadata": metadata}
        return self.objects[path]

    def stream(self, path, query, silence_s):
        seen = int(query["resourceVersion"])
        while not self.ended.is_set():
            with self._changed:
                news = [entry for entry in self._events if entry[0] > seen and _is_of(path, entry[1])]
                if not news:
                    self._changed.wait(0.05)
            for seen, _, event in news:  # noqa: B007 - where the next look goes on
                yield event

    def _collection(self, path):
        """The objects of a list, and that it was asked for; None: it asks for one object."""
        below = path.partition("/namespaces/")[2]
        if below.count("/") > 1:
            return None
        self.lists.append(path.rpartition("/")[2])
        return [item for where, item in self.objects.items() if _is_of(path, where)]


def _is_of(collection, path):
    """Whether the object at a path is one of a collection, of one namespace or of all."""
    if "/namespaces/" in collection:
        return f"{path}/".startswith(f"{collection}/")
    prefix, _, plural = collection.rpartition("/")
    return path.startswith(f"{prefix}/namespaces/") and f"/{plural}/" in f"{path}/"
