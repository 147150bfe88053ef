"""A list over HTTP, from an API server that has odd objects."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest
import urllib3

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.reflector import Reflector
from trainjob_operator.trainjob.observation.excerpt import excerpt
from trainjobs.kube.client import KubeClient
from trainjobs.kube.credentials import TOKEN_AGES_S, TokenFile
from trainjobs.kube.resources import TRAINJOBS, Key
from trainjobs.kube.transport import (
    LONGEST_ANSWER,
    HttpTransport,
    TooLongError,
    TransportError,
    _lines,
    in_pod,
)

STOP = threading.Event()
IN_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def serving():
    """`serving(text)`: an address that answers everything with it."""
    servers = []

    def serve(text):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("levels", [1200, 9990])
def test_a_trainjob_that_nests_deeper_than_python_decodes_hides_no_other(serving, item, levels):
    def trainjob(name, version, config):
        spec = {"trainer": {"entrypoint": "train:train", "maxEpochs": 1, "config": config}}
        return {**item(name, version), "spec": spec}

    items = json.dumps([trainjob("odd", 1, {"a": "DEEP"}), trainjob("mnist", 2, {"lr": 0.1})])
    items = items.replace('"DEEP"', '{"a":' * levels + "1" + "}" * levels)
    url = serving(f'{{"items": {items}, "metadata": {{"resourceVersion": "5"}}}}')
    transport, cache, woken = HttpTransport(url, urllib3.PoolManager(), dict), Cache(excerpt), []
    try:
        reflector = Reflector(KubeClient(transport), TRAINJOBS, cache, woken.append)
        assert reflector.step(STOP) == 0
    finally:
        transport.close()
    assert reflector.synced.is_set()
    assert set(woken) == {Key("team", "odd"), Key("team", "mnist")}
    assert cache.get(Key("team", "mnist"))["spec"]["trainer"]["config"] == {"lr": 0.1}
    assert "nested deeper" in cache.get(Key("team", "odd"))["spec"]["trainer"]["config"]


def test_an_answer_is_read_only_as_far_as_one_may_be_long(serving):
    frame = '{"a": ""}'
    for characters, is_taken in ((LONGEST_ANSWER, True), (LONGEST_ANSWER + 1, False)):
        text = frame[:7] + "x" * (characters - len(frame)) + frame[7:]
        transport = HttpTransport(serving(text), urllib3.PoolManager(), dict)
        if is_taken:
            assert len(transport.request("GET", "/")["a"]) == characters - len(frame)
        else:
            with pytest.raises(TooLongError):
                transport.request("GET", "/")
        transport.close()


@pytest.fixture
def account(tmp_path):
    """What Kubernetes puts into a pod."""
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text(Path(certifi.where()).read_text())
    return tmp_path


def test_a_pod_shows_the_token_of_now(account):
    """Kubernetes replaces it while the pod lives."""
    moments = iter((0.0, TOKEN_AGES_S - 1, TOKEN_AGES_S, TOKEN_AGES_S, 2 * TOKEN_AGES_S, 2 * TOKEN_AGES_S))
    token = TokenFile(account / "token", lambda: next(moments))
    (account / "token").write_text("second")
    assert token.headers() == {"authorization": "Bearer first"}
    assert token.headers() == {"authorization": "Bearer second"}
    (account / "token").write_text("")
    assert token.headers() == {"authorization": "Bearer second"}


@pytest.mark.parametrize(
    ("host", "url"), [("10.96.0.1", "https://10.96.0.1:443"), ("fd00::1", "https://[fd00::1]:443")]
)
def test_a_pod_finds_the_api_server_by_its_environment_and_asks_it_by_no_proxy(
    account, monkeypatch, host, url
):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    transport = in_pod({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": "443"}, account)
    assert transport.url == url
    assert transport._pool.proxy is None
    transport.close()


@pytest.mark.parametrize(
    ("environment", "missing", "said"),
    [
        ({}, "nothing", "KUBERNETES_SERVICE_HOST"),
        ({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, "nothing", "KUBERNETES_SERVICE_PORT"),
        (IN_POD, "token", "token"),
        (IN_POD, "ca.crt", "No such file"),
    ],
)
def test_who_is_in_no_pod_or_has_no_account_there_is_told_what_is_missing(
    account, environment, missing, said
):
    (account / missing).unlink(missing_ok=True)
    with pytest.raises(ValueError, match=said):
        in_pod(environment, account)


@pytest.mark.parametrize(("name", "text"), [("token", ""), ("ca.crt", "no certificate")])
def test_what_is_no_account_is_refused_at_once(account, name, text):
    (account / name).write_text(text)
    with pytest.raises(ValueError, match="no access to its cluster"):
        in_pod(IN_POD, account)


def test_a_token_that_is_gone_is_an_answer_that_did_not_come(account):
    moments = iter((0.0, TOKEN_AGES_S))
    token = TokenFile(account / "token", lambda: next(moments))
    (account / "token").unlink()
    transport = HttpTransport("http://127.0.0.1:1", urllib3.PoolManager(), token.headers)
    with pytest.raises(TransportError, match="token"):
        transport.request("GET", "/version")


@pytest.mark.parametrize(
    ("parts", "lines"),
    [
        ([], []),
        ([b"a\nb", b"c\n", b"\nd"], [b"a", b"bc", b"", b"d"]),
        ([b"a", b"b", b"\n"], [b"ab"]),
    ],
)
def test_lines_are_whole_however_they_come(parts, lines):
    assert list(_lines(SimpleNamespace(stream=lambda **_: iter(parts)), 100)) == lines


def test_a_line_without_an_end_is_given_up_before_it_fills_the_memory():
    endless = SimpleNamespace(stream=lambda **_: repeat(b"0123456789"))
    with pytest.raises(TooLongError, match="a line of more than 100 bytes"):
        list(_lines(endless, 100))
