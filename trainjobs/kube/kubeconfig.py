"""A kubeconfig file that says itself all it takes to reach an API server: a token, or a certificate and its key.

To load the Kubernetes client, which understands everything that may be in such a file, takes longer than all else that
a command does. So the ordinary file is read here, and whatever is in any way more than ordinary is left to the client.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from trainjobs.kube.credentials import Headers, TokenFile, bearer

_OF_CLUSTERS: Final = {
    *("server", "certificate-authority", "certificate-authority-data", "insecure-skip-tls-verify"),
}
_OF_USERS: Final = {
    *("token", "tokenFile", "client-certificate", "client-certificate-data", "client-key", "client-key-data"),
}
_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True, slots=True)
class Access:
    """An API server and how it is spoken to."""

    server: str
    """Its URL."""
    tls: ssl.SSLContext
    credentials: Callable[[], Headers]
    """Empty: the certificate says who calls. Raises OSError."""
    namespace: str
    """Empty if the context names none."""


def ordinary(file: Path, context: str | None, environment: Mapping[str, str] = os.environ) -> Access | None:
    """What a context (None: the current one) of a file says. None where the file is not ordinary: where it is damaged,
    names a plugin, a login, a proxy or another user's rights, or where the environment names a proxy."""
    if any(environment.get(name) for name in _PROXIES):
        return None
    try:
        document = yaml.safe_load(file.read_bytes())
        chosen = _named(document["contexts"], context or document["current-context"], "context")
        cluster = _named(document["clusters"], chosen["cluster"], "cluster")
        user = _named(document["users"], chosen["user"], "user") if chosen.get("user") else {}
        if not (cluster.keys() <= _OF_CLUSTERS and user.keys() <= _OF_USERS):
            return None
        server = str(cluster["server"]).rstrip("/")
        if not server.startswith("https://"):
            return None
        return Access(
            server,
            _tls(cluster, user, file.parent),
            _credentials(user, file.parent),
            str(chosen.get("namespace") or ""),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError):
        return None


def _named(items: Any, name: str, kind: str) -> Mapping[str, Any]:
    """Raises LookupError, TypeError, ValueError where there is not one."""
    (found,) = (item[kind] for item in items if item["name"] == name)
    if not isinstance(found, dict):
        raise TypeError(kind)
    return found


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], base: Path) -> ssl.SSLContext:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if cluster.get("insecure-skip-tls-verify"):
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    elif authority := _content(cluster, "certificate-authority", base):
        trust.load_verify_locations(cadata=authority.decode())
    else:
        trust.load_default_certs()
    certificate, key = (_content(user, f"client-{part}", base) for part in ("certificate", "key"))
    if certificate:
        with (
            tempfile.TemporaryDirectory() as folder
        ):  # Python takes them from files only; this one is the user's alone
            path = Path(folder, "pair.pem")
            path.write_bytes(certificate + b"\n" + key)
            trust.load_cert_chain(path, password="")  # an encrypted key is an error, not a question
    return trust


def _credentials(user: Mapping[str, Any], base: Path) -> Callable[[], Headers]:
    if "tokenFile" not in user:
        written = user.get("token")
        shown = bearer(str(written)) if written else {}
        return lambda: shown
    if "token" in user:
        raise ValueError("two tokens")
    return TokenFile(base / str(user["tokenFile"])).headers


def _content(section: Mapping[str, Any], name: str, base: Path) -> bytes:
    """PEM, from the file itself or beside it; empty where there is none."""
    if data := section.get(f"{name}-data"):
        return base64.b64decode(data, validate=True)
    return (base / str(section[name])).read_bytes() if section.get(name) else b""
