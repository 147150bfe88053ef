"""How long a pod asks for its TrainJob."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes.client import ApiException, Configuration

from trainjobs.kube import own_trainjob


@pytest.fixture
def answers(monkeypatch):
    """`answers(error, …, value)`: what the API server says to one request after the other."""
    monkeypatch.setattr(own_trainjob, "PAUSE_S", 0.0)

    def ask(*said):
        coming = iter(said)

        def request():
            answer = next(coming)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return own_trainjob._insist(request)

    return ask


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_rights_that_are_away_for_a_while_are_waited_for(answers, status):
    refused = ApiException(status, "no")
    assert answers(refused, refused, {"kind": "TrainJob"}) == {"kind": "TrainJob"}


def test_a_trainjob_that_is_gone_is_not(answers):
    with pytest.raises(own_trainjob.NotOurs):
        answers(ApiException(404, "Not Found"))


@pytest.fixture
def api_server(tmp_path, monkeypatch):
    """A pod's way to an API server whose answers to watches are the lines of these lists, one after the other."""
    answers = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write("".join(f"{line}\n" for line in answers.pop(0)).encode())

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def configured():
        settings = Configuration()
        settings.host = f"http://127.0.0.1:{server.server_address[1]}"
        Configuration.set_default(settings)

    monkeypatch.setattr(own_trainjob.config, "load_incluster_config", configured)
    monkeypatch.setattr(own_trainjob, "PAUSE_S", 0.0)
    yield answers
    server.shutdown()
    server.server_close()
    Configuration.set_default(None)


def test_an_odd_answer_does_not_make_a_pod_deaf(api_server):
    """It could not hear of a stop any more."""

    def event(kind, **fields):
        return json.dumps(
            {"type": kind, "object": {"metadata": {"uid": "me", "resourceVersion": "1"}, **fields}}
        )

    heard = []
    api_server += [
        [json.dumps({"type": "ADDED", "object": {"metadata": {}}})],
        ["no JSON"],
        [event("MODIFIED", spec={"stop": {}}), event("DELETED")],
    ]
    with pytest.raises(own_trainjob.NotOurs):
        own_trainjob.OwnTrainJob("team", "mnist", "me").follow(heard.append)
    assert [each["spec"] for each in heard] == [{"stop": {}}]
