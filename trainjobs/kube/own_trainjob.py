"""A training pod's own TrainJob: read, follow, and write the status fields that a run owns.

The pod's ServiceAccount may do no more: get and watch TrainJobs, patch their status.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Final

from kubernetes import client, config, watch
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

log = logging.getLogger(__name__)

Document = dict[str, Any]

GROUP: Final = "trainjobs.dev"
VERSION: Final = "v1alpha1"
PLURAL: Final = "trainjobs"
TIMEOUT_S: Final = (5.0, 30.0)
"""To connect, and for an answer."""
WATCH_S: Final = 240
"""Seconds after which the API server ends a watch, and another begins."""
PAUSE_S: Final = 2.0
"""Mean seconds between two tries at an API server that does not answer."""


class NotOurs(Exception):
    """The TrainJob is gone, or another one has its name: trying again is of no use."""


class OwnTrainJob:
    """One TrainJob by the identity that Kubernetes gives to a pod.

    Args:
        uid: of the TrainJob that this pod belongs to.
    """

    def __init__(self, namespace: str, name: str, uid: str) -> None:
        config.load_incluster_config()  # type: ignore[no-untyped-call]
        self._api = client.CustomObjectsApi()
        self._at: dict[str, Any] = {
            "group": GROUP,
            "version": VERSION,
            "namespace": namespace,
            "plural": PLURAL,
        }
        self._name = name
        self._uid = uid

    def read(self) -> Document:
        """The TrainJob. Waits for an API server that does not answer, or refuses this pod; raises NotOurs."""
        return self._ours(
            _insist(
                lambda: self._api.get_namespaced_custom_object(
                    **self._at, name=self._name, _request_timeout=TIMEOUT_S
                )
            )
        )

    def patch_status(self, fields: Document) -> None:
        """Merge fields into the status; None deletes one. Raises ApiException or urllib3's HTTPError."""
        self._api.patch_namespaced_custom_object_status(
            **self._at,
            name=self._name,
            # The uid makes a patch that comes too late fail, instead of reaching a new TrainJob of the same name.
            body={"metadata": {"uid": self._uid}, "status": fields},
            _content_type="application/merge-patch+json",
            _request_timeout=TIMEOUT_S,
        )

    def follow(self, seen: Callable[[Document], object]) -> None:
        """Call `seen` with the TrainJob now and after each change, until it is gone; raises NotOurs then."""
        while True:
            stream: Any = watch.Watch()  # type: ignore[no-untyped-call]
            try:
                for event in stream.stream(
                    self._api.list_namespaced_custom_object,
                    **self._at,
                    field_selector=f"metadata.name={self._name}",
                    timeout_seconds=WATCH_S,
                    _request_timeout=(TIMEOUT_S[0], WATCH_S + TIMEOUT_S[1]),
                ):
                    if event["type"] == "DELETED":
                        raise NotOurs(f"TrainJob {self._name} was deleted")
                    seen(self._ours(event["object"]))
            except NotOurs:
                raise
            except (ApiException, HTTPError) as error:
                log.debug("watching TrainJob %s: %s", self._name, error)
                time.sleep(PAUSE_S * (0.5 + random.random()))
            except Exception:
                # Whatever one answer was: the next may be the one that says stop.
                log.exception("watching TrainJob %s", self._name)
                time.sleep(PAUSE_S * (0.5 + random.random()))

    def _ours(self, document: Document) -> Document:
        if document["metadata"]["uid"] != self._uid:
            raise NotOurs(f"TrainJob {self._name} was deleted and made anew")
        return document


def _insist(request: Callable[[], Any]) -> Any:
    while True:
        try:
            return request()
        except ApiException as error:
            if error.status == 404:
                raise NotOurs(f"the API server refuses this pod its TrainJob: {error.reason}") from error
            # 401 and 403 are no end: rights may be away for a while, as when the operator is installed anew.
            log.warning("the API server answers %s %s; trying again", error.status, error.reason)
        except HTTPError as error:
            log.warning("the API server does not answer (%s); trying again", error)
        time.sleep(PAUSE_S * (0.5 + random.random()))
