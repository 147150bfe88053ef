"""The ordinary kubeconfig file is read here, as the Kubernetes client reads it; any other is the client's business."""

import base64
import json
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from trainjobs.kube import transport
from trainjobs.kube.kubeconfig import ordinary
from trainjobs.kube.transport import connect_by

CLUSTER = {"server": "https://127.0.0.1:1/"}


def written(path, cluster=CLUSTER, user=None, context=None, **more):
    document = {
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "me", **(context or {})}}],
        "clusters": [{"name": "one", "cluster": cluster}],
        "users": [{"name": "me", "user": user or {}}],
        "current-context": "here",
        **more,
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def file(tmp_path):
    (tmp_path / "token").write_text("from a file")
    return tmp_path / "config"


ORDINARY = {
    "a token": {"user": {"token": "abc"}},
    "a token's file beside it": {"user": {"tokenFile": "token"}},
    "nobody": {"context": {"user": "me"}},
    "a namespace": {"user": {"token": "abc"}, "context": {"namespace": "team"}},
    "no check of the server": {"cluster": {**CLUSTER, "insecure-skip-tls-verify": True}},
}


@pytest.mark.parametrize("said", ORDINARY.values(), ids=ORDINARY)
def test_the_kubernetes_client_reads_the_same(file, said, monkeypatch):
    written(file, **said)
    assert ordinary(file, None, {}) is not None
    found, namespace = connect_by(str(file))
    monkeypatch.setattr(transport, "ordinary", lambda *_: None)
    other, its = connect_by(str(file))
    assert (found.url, namespace) == (other.url.rstrip("/"), its)
    assert found._authorization() == other._authorization()
    verified = found._pool.connection_pool_kw["ssl_context"].verify_mode
    assert verified == other._pool.connection_pool_kw.get("cert_reqs", verified)


OTHERS = {
    "a plugin": {"user": {"exec": {"command": "aws"}}},
    "a login": {"user": {"auth-provider": {"name": "oidc"}}},
    "a password": {"user": {"username": "me", "password": "secret"}},
    "another user's rights": {"user": {"token": "abc", "as": "root"}},
    "two tokens": {"user": {"token": "abc", "tokenFile": "token"}},
    "a token's file that is not there": {"user": {"tokenFile": "none"}},
    "a certificate that is none": {"user": {"client-certificate-data": "YWJj", "client-key-data": "YWJj"}},
    "an authority that is none": {"cluster": {**CLUSTER, "certificate-authority-data": "abc"}},
    "a proxy": {"cluster": {**CLUSTER, "proxy-url": "http://127.0.0.1:2"}},
    "another name of the server": {"cluster": {**CLUSTER, "tls-server-name": "kubernetes"}},
    "no encryption": {"cluster": {"server": "http://127.0.0.1:1"}},
    "a user that is not there": {"context": {"user": "nobody"}},
    "a cluster that is text": {"cluster": "one"},
    "no contexts": {"contexts": None},
    "a context that is not there": {"current-context": "there"},
    "two of a name": {"users": [{"name": "me", "user": {}}] * 2},
}


@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS)
def test_what_is_more_than_ordinary_is_left_to_the_kubernetes_client(file, said):
    assert ordinary(written(file, **said), None, {}) is None


def test_a_proxy_in_the_environment_is_left_to_the_kubernetes_client(file):
    assert ordinary(written(file), None, {"HTTPS_PROXY": "http://127.0.0.1:2"}) is None


@pytest.fixture
def certificates(tmp_path):
    """Of a server at 127.0.0.1 that asks for its callers' certificates, which the same key signs."""
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=me -addext"
    )
    files = ["-keyout", str(tmp_path / "key"), "-out", str(tmp_path / "certificate")]
    subprocess.run([*command.split(), "subjectAltName=IP:127.0.0.1", *files], check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def server(certificates):
    """Answers only whoever shows the certificate."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "certificate", certificates / "key")
    tls.load_verify_locations(certificates / "certificate")
    tls.verify_mode = ssl.CERT_REQUIRED
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("inline", [False, True])
def test_a_certificate_says_who_calls(certificates, server, inline):
    def named(field, name):
        data = base64.b64encode((certificates / name).read_bytes()).decode()
        return {f"{field}-data": data} if inline else {field: name}

    cluster = {"server": server, **named("certificate-authority", "certificate")}
    user = {**named("client-certificate", "certificate"), **named("client-key", "key")}
    path = written(certificates / "config", cluster, user)
    assert ordinary(path, None, {}) is not None
    caller, _ = connect_by(str(path))
    assert caller.request("GET", "/") == {}
    caller.close()
