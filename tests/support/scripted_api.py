"""The API server as a script, and a clock that tests move."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from trainjobs.kube.transport import ApiError


class Clock:
    """Seconds, moved by the test."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Script:
    """A transport whose answers the test writes in advance: a value, or an error to raise."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []

    def request(self, method, path, query=None, body=None, content_type="application/json"):
        self.asked.append((method, path, dict(query or {}), body))
        return self._answer()

    def stream(self, path, query, silence_s) -> Iterator[Any]:
        self.asked.append(("WATCH", path, dict(query), None))
        for event in self._answer():
            if isinstance(event, Exception):
                raise event
            yield event

    def _answer(self):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def item() -> Callable[..., dict]:
    """`item("a", 5)`: an object of name and resourceVersion; other fields of metadata by name."""

    def make(name: str, version: int, **metadata) -> dict:
        metadata = {"namespace": "team", "uid": f"uid-{name}", "resourceVersion": str(version), **metadata}
        return {
            "apiVersion": "trainjobs.dev/v1alpha1",
            "kind": "TrainJob",
            "metadata": {"name": name, **metadata},
        }

    return make


@pytest.fixture
def api_error() -> Callable[..., ApiError]:
    """`api_error(409)`: an answer that says no."""

    def make(status: int, reason: str = "Reason", retry_after_s: float | None = None) -> ApiError:
        return ApiError(status, reason, "no", retry_after_s)

    return make
