"""The one way to the API server: connections, TLS, credentials. Of the Kubernetes client it uses what reads a
kubeconfig file, and only where there is one with plugins, logins and the like: to load it takes a second and 22 MiB,
which a pod and most commands do without.

Requests are not retried here and streams are not resumed: who calls knows what a repeated request would do.

Exception
└── TransportError          no answer: nobody knows whether the request took effect
    ├── ApiError            an answer that says no
    └── TooLongError        an answer that was not read to its end
"""

from __future__ import annotations

import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, cast
from urllib.parse import urlencode

import urllib3
from yaml import YAMLError

from trainjobs.kube.credentials import Headers, TokenFile
from trainjobs.kube.decoding import decoded
from trainjobs.kube.kubeconfig import ordinary
from trainjobs.kube.resources import Object

Query = Mapping[str, str]

NO_QUERY: Final[Query] = {}

CONNECT_TIMEOUT_S: Final = 10.0
REQUEST_TIMEOUT_S: Final = 30.0
"""How long the API server may stay silent before a request counts as lost."""
LONGEST_ANSWER: Final = 2**24
"""Bytes. An object of 1.5 MB, the most that etcd takes, has nine if each of its characters has to be escaped."""
LONGEST_LINE: Final = 2**28
"""Bytes of a log's line. The longest that is ours is that of a resume, with its history."""
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token and the certificate of those who sign the API server's."""
NAMESPACE_TERMINATING: Final = "NamespaceTerminating"


class TransportError(Exception):
    """No answer: a connection refused, broken or silent."""


class ApiError(TransportError):
    """The API server answered with an error."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        retry_after_s: float | None = None,
        causes: tuple[str, ...] = (),
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        """HTTP status, such as 409."""
        self.reason = reason
        """One word, such as Conflict."""
        self.message = message
        self.retry_after_s = retry_after_s
        """Seconds that the server asks to wait. None: it does not say."""
        self.causes = causes
        """Reasons within the reason, such as NamespaceTerminating."""

    @property
    def is_namespace_terminating(self) -> bool:
        """Whether nothing can be made any more where it was to be, since all there is about to go."""
        return NAMESPACE_TERMINATING in self.causes

    @property
    def is_about_fields(self) -> bool:
        """Whether the object itself is wrong. A policy that refuses gives causes without reasons, and a webhook gives
        no reason, unless it chooses one."""
        if self.status == 400:
            return self.reason == "BadRequest"
        return self.status == 422 and any(cause.startswith("Field") for cause in self.causes)


class TooLongError(TransportError):
    """The answer is longer than this process takes at once."""


class Transport(Protocol):
    """The seam between the operator and the API server: tests put faults here."""

    def request(
        self,
        method: str,
        path: str,
        query: Query = NO_QUERY,
        body: Object | list[Object] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request and its answer; the `items` of a list can only be gone through. Raises TransportError."""
        ...

    def stream(self, path: str, query: Query, silence_s: float) -> Iterator[Object]:
        """The events of a watch until the server ends it. Raises TransportError, also after `silence_s` seconds
        without an event."""
        ...

    def lines(self, path: str, query: Query, silence_s: float) -> Iterator[str]:
        """An answer of text, line by line as it comes, such as a log. Raises TransportError, as `stream` does."""
        ...

    def close(self) -> None:
        """Close idle connections."""
        ...


class HttpTransport:
    """The API server by HTTP."""

    def __init__(self, url: str, pool: urllib3.PoolManager, credentials: Callable[[], Headers]) -> None:
        """`credentials` are asked for at each request, by one thread at a time; they may raise OSError."""
        self.url = url
        """Where the API server is."""
        self._pool = pool
        self._credentials = credentials
        self._auth = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        query: Query = NO_QUERY,
        body: Object | list[Object] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request and its answer."""
        encoded = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if encoded is not None else {}
        with self._answer(method, path, query, REQUEST_TIMEOUT_S, headers, encoded) as response:
            text = response.read(LONGEST_ANSWER + 1)
        if len(text) > LONGEST_ANSWER:
            raise TooLongError(f"{method} {path}: an answer of more than {LONGEST_ANSWER} bytes")
        return _object(text)

    def stream(self, path: str, query: Query, silence_s: float) -> Iterator[Object]:
        """The events of a watch, one JSON object a line."""
        with self._answer("GET", path, {**query, "watch": "true"}, silence_s) as response:
            yield from (_object(line) for line in _lines(response, LONGEST_ANSWER) if line.strip())

    def lines(self, path: str, query: Query, silence_s: float) -> Iterator[str]:
        """An answer of text, line by line."""
        with self._answer("GET", path, query, silence_s) as response:
            yield from (line.decode(errors="replace") for line in _lines(response, LONGEST_LINE))

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
        headers: Headers = NO_QUERY,
        body: bytes | None = None,
    ) -> Iterator[Any]:
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
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

    def _authorization(self) -> Headers:
        with self._auth:
            return self._credentials()


def connect(kubeconfig: str | None, connections: int = 16) -> HttpTransport:
    """The cluster of a kubeconfig file, or, with None, of the pod this process is in. Raises ValueError or OSError."""
    if kubeconfig is not None:
        return connect_by(kubeconfig, connections=connections)[0]
    return in_pod(os.environ, connections=connections)


def in_pod(environment: Mapping[str, str], account: Path = ACCOUNT, connections: int = 16) -> HttpTransport:
    """The cluster of this pod, never by a proxy: those that the environment names are for what is outside of it.
    Raises ValueError."""
    host, port = (environment.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
    if not host or not port:
        raise ValueError(
            "this process is in no pod: KUBERNETES_SERVICE_HOST or KUBERNETES_SERVICE_PORT is unset"
        )
    try:
        token = TokenFile(account / "token")
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trust.load_verify_locations(account / "ca.crt")
    except (OSError, ValueError) as error:
        raise ValueError(f"this pod has no access to its cluster: {error}") from error
    pool = urllib3.PoolManager(maxsize=connections, ssl_context=trust)
    return HttpTransport(f"https://{f'[{host}]' if ':' in host else host}:{port}", pool, token.headers)


def connect_by(
    kubeconfig: str, context: str | None = None, connections: int = 16
) -> tuple[HttpTransport, str]:
    """The cluster of a context (None: the current one) in kubeconfig files, as in KUBECONFIG, and the context's
    namespace, if it has one. Raises ValueError or OSError."""
    if found := ordinary(Path(kubeconfig), context):
        pool = urllib3.PoolManager(maxsize=connections, ssl_context=found.tls)
        return HttpTransport(found.server, pool, found.credentials), found.namespace

    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

    configuration = Configuration()
    try:
        files = KubeConfigMerger(kubeconfig)  # type: ignore[no-untyped-call]
        loader = KubeConfigLoader(files.config, context, config_base_path=None)  # type: ignore[no-untyped-call]
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
        namespace = loader.current_context["context"].get("namespace", "")
    except (ConfigException, YAMLError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(str(error)) from error
    configuration.connection_pool_maxsize = connections

    def credentials() -> Headers:
        settings = cast("Mapping[str, Mapping[str, str]]", configuration.auth_settings())
        return {each["key"]: each["value"] for each in settings.values() if each["in"] == "header"}

    asked = ApiClient(configuration).rest_client.pool_manager
    return HttpTransport(configuration.host, asked, credentials), namespace


def _lines(response: Any, longest: int) -> Iterator[bytes]:
    """What ends in a line feed, as it comes, and what is left at the end. Raises TooLongError."""
    rest: list[bytes] = []
    size = 0
    for part in response.stream(amt=2**16, decode_content=True):
        for number, piece in enumerate(part.split(b"\n")):
            if number:
                yield b"".join(rest)
                rest.clear()
                size = 0
            rest.append(piece)
            size += len(piece)
            if size > longest:
                raise TooLongError(f"a line of more than {longest} bytes")
    if last := b"".join(rest):
        yield last


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
        causes = tuple(cause.get("reason", "") for cause in (said.get("details") or {}).get("causes") or ())
        return ApiError(status, said.get("reason", ""), said.get("message", ""), retry_after_s, causes)
    except (ValueError, AttributeError, TypeError):
        return ApiError(status, "", text.decode(errors="replace")[:200], retry_after_s)
