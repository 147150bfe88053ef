"""The only module that touches the Kubernetes client: its configuration, TLS and connections, none of its models.

Requests are not retried here and streams are not resumed: who calls knows what a repeated request would do.

Exception
└── TransportError          no answer: nobody knows whether the request took effect
    └── ApiError            an answer that says no
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast
from urllib.parse import urlencode

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger
from yaml import YAMLError

from trainjobs.kube.decoding import decoded
from trainjobs.kube.resources import Object

Query = Mapping[str, str]

NO_QUERY: Final[Query] = {}

CONNECT_TIMEOUT_S: Final = 10.0
REQUEST_TIMEOUT_S: Final = 30.0
"""How long the API server may stay silent before a request counts as lost."""


class TransportError(Exception):
    """No answer: a connection refused, broken or silent."""


class ApiError(TransportError):
    """The API server answered with an error."""

    def __init__(self, status: int, reason: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        """HTTP status, such as 409."""
        self.reason = reason
        """One word, such as Conflict."""
        self.message = message
        self.retry_after_s = retry_after_s
        """Seconds that the server asks to wait. None: it does not say."""


class Transport(Protocol):
    """The seam between the operator and the API server: tests put faults here."""

    def request(
        self,
        method: str,
        path: str,
        query: Query = NO_QUERY,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request and its answer; the `items` of a list can only be gone through. Raises TransportError."""
        ...

    def stream(self, path: str, query: Query, silence_s: float) -> Iterator[Object]:
        """The events of a watch until the server ends it. Raises TransportError, also after `silence_s` seconds
        without an event."""
        ...


class HttpTransport:
    """The API server by HTTP."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._client = ApiClient(configuration)
        self._pool: urllib3.PoolManager = self._client.rest_client.pool_manager
        self._auth = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        query: Query = NO_QUERY,
        body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request and its answer."""
        encoded = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if encoded is not None else {}
        with self._answer(method, path, query, REQUEST_TIMEOUT_S, headers, encoded) as response:
            return _object(response.data)

    def stream(self, path: str, query: Query, silence_s: float) -> Iterator[Object]:
        """The events of a watch, one JSON object a line."""
        with self._answer("GET", path, {**query, "watch": "true"}, silence_s) as response:
            rest = b""
            for part in response.stream(amt=2**16, decode_content=True):
                *lines, rest = (rest + part).split(b"\n")
                yield from (_object(line) for line in lines if line.strip())

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Query,
        silence_s: float,
        headers: Mapping[str, str] = NO_QUERY,
        body: bytes | None = None,
    ) -> Iterator[Any]:
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={"Accept": "application/json", **self._authorization(), **headers},
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=silence_s),
                retries=False,
                preload_content=False,
            )
            try:
                if response.status >= 400:
                    raise _refusal(response.status, response.headers, response.data)
                yield response
            finally:
                # A stream that nobody read to its end is of no use to the next request.
                response.close()
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise TransportError(f"{method} {path}: {error}") from error

    def _authorization(self) -> dict[str, str]:
        """The token of now: the client reads a service account's file again when it has aged."""
        with self._auth:
            settings = cast("Mapping[str, Mapping[str, str]]", self._configuration.auth_settings())
        return {each["key"]: each["value"] for each in settings.values() if each["in"] == "header"}


def connect(kubeconfig: str | None, connections: int = 16) -> HttpTransport:
    """The cluster of a kubeconfig file, or, with None, of the pod this process is in. Raises ValueError or OSError."""
    if kubeconfig is not None:
        return connect_by(kubeconfig, connections=connections)[0]
    configuration = Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise ValueError(f"this pod has no access to its cluster: {error}") from error
    configuration.connection_pool_maxsize = connections
    return HttpTransport(configuration)


def connect_by(
    kubeconfig: str, context: str | None = None, connections: int = 16
) -> tuple[HttpTransport, str]:
    """The cluster of a context (None: the current one) in kubeconfig files, as in KUBECONFIG, and the context's
    namespace, if it has one. Raises ValueError or OSError."""
    configuration = Configuration()
    try:
        files = KubeConfigMerger(kubeconfig)  # type: ignore[no-untyped-call]
        loader = KubeConfigLoader(files.config, context, config_base_path=None)  # type: ignore[no-untyped-call]
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
        namespace = loader.current_context["context"].get("namespace", "")
    except (config.ConfigException, YAMLError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(str(error)) from error
    configuration.connection_pool_maxsize = connections
    return HttpTransport(configuration), namespace


def _object(text: bytes) -> Object:
    try:
        return decoded(text)
    except ValueError as error:
        raise TransportError(f"an answer that is not JSON: {error}") from error


def _refusal(status: int, headers: Mapping[str, str], text: bytes) -> ApiError:
    wait = headers.get("Retry-After", "")
    retry_after_s = float(wait) if wait.isdecimal() else None
    try:
        said = json.loads(text)
        return ApiError(status, said.get("reason", ""), said.get("message", ""), retry_after_s)
    except (ValueError, AttributeError):
        return ApiError(status, "", text.decode(errors="replace")[:200], retry_after_s)
