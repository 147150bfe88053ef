"""One manifest, edited and read in many ways."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from trainjobs.api.manifest import SpecError, load

MANIFEST = """\
apiVersion: trainjobs.dev/v1alpha1
kind: TrainJob
metadata: {name: mnist}
spec:
  trainer:
    entrypoint: train:train
    maxEpochs: 100
    config: {learningRate: 1e-3}
  stopping:
    monitor: val_loss
    criteria:
      - plateau:
          patience: 5
          minDelta: 0.001
      - threshold: {monitor: val_accuracy, mode: max, value: 0.99}
"""


@pytest.fixture(scope="session")
def mnist() -> str:
    """The text of a valid manifest of 15 lines."""
    return MANIFEST


@pytest.fixture
def edited() -> Callable[..., str]:
    """`edited((old, new), ...)` is that text with the first occurrence of each `old` replaced."""

    def edit(*edits: tuple[str, str]) -> str:
        text = MANIFEST
        for old, new in edits:
            assert old in text
            text = text.replace(old, new, 1)
        return text

    return edit


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], Path]:
    """`file(text)` writes mnist.yaml in the current directory and returns its path."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes) -> Path:
        path = Path("mnist.yaml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def problems() -> Callable[..., list[str]]:
    """`problems(path, overrides, read=load)` is what `load` says is wrong, one text for each problem."""

    def read_badly(path: Path, overrides: Sequence[str] = (), read: Callable = load) -> list[str]:
        with pytest.raises(SpecError) as caught:
            read(path, overrides)
        return [str(problem) for problem in caught.value.problems]

    return read_badly
