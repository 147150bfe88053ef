"""A list over HTTP, from an API server that has odd objects."""

import datetime
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import certifi
import pytest
from kubernetes.client import Configuration
from kubernetes.config import incluster_config

from trainjob_operator.core.cache import Cache
from trainjob_operator.core.reflector import Reflector
from trainjob_operator.trainjob.observation.excerpt import excerpt
from trainjobs.kube.client import Client
from trainjobs.kube.resources import TRAINJOBS, Key
from trainjobs.kube.transport import HttpTransport, connect

STOP = threading.Event()


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
    configuration = Configuration()
    configuration.host = serving(f'{{"items": {items}, "metadata": {{"resourceVersion": "5"}}}}')
    transport, cache, woken = HttpTransport(configuration), Cache(excerpt), []
    try:
        reflector = Reflector(Client(transport), TRAINJOBS, cache, woken.append)
        assert reflector.step(STOP) == 0
    finally:
        transport.close()
    assert reflector.synced.is_set()
    assert set(woken) == {Key("team", "odd"), Key("team", "mnist")}
    assert cache.get(Key("team", "mnist"))["spec"]["trainer"]["config"] == {"lr": 0.1}
    assert "nested deeper" in cache.get(Key("team", "odd"))["spec"]["trainer"]["config"]


def test_a_pod_shows_the_token_of_now(tmp_path, monkeypatch):
    """Kubernetes replaces it while the pod lives."""
    token = tmp_path / "token"
    token.write_text("first")
    now = datetime.datetime(2030, 1, 1)
    clock = SimpleNamespace(now=lambda: now)
    monkeypatch.setattr(
        incluster_config, "datetime", SimpleNamespace(datetime=clock, timedelta=datetime.timedelta)
    )
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", certifi.where())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    transport = connect(None)
    token.write_text("second")
    assert transport._authorization() == {"authorization": "bearer first"}
    now += datetime.timedelta(minutes=1)
    assert transport._authorization() == {"authorization": "bearer second"}
    transport.close()
