"""TensorBoard's event files, read by the package `tensorboard` where it is installed."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from trainjobs.cli.curves.reports import Row
from trainjobs.exits import DataError, UsageError

MARK: Final = "tfevents"
"""In the name of every event file."""
EPOCH: Final = ("epoch", "train/epoch")
"""Scalars that say the epoch: Lightning's and Hugging Face's."""


def read_events(places: Mapping[str, Path]) -> Iterator[Row]:
    """The scalars of a run, a row for each step.

    Args:
        places: files or directories, each by what goes before the names of its scalars.

    Raises:
        DataError: there is no scalar in them.
        UsageError: `tensorboard` is not installed.
    """
    metrics: defaultdict[int, dict[str, float]] = defaultdict(dict)
    times: dict[int, float] = {}
    for prefix, place in places.items():
        for name, time, step, value in _scalars(place):
            metrics[step][prefix + name] = value
            times[step] = max(time, times.get(step, time))
    if not metrics:
        raise DataError(f"{', '.join(map(str, places.values()))}: holds no scalar of TensorBoard")
    begun = min(times.values())
    latest, finished = begun, 0.0
    counts = [row[name] for row in metrics.values() for name in EPOCH if name in row]
    shift = 1 if counts and min(counts) == 0 and all(map(float.is_integer, counts)) else 0
    for step, row in sorted(metrics.items()):
        latest = max(latest, times[step])
        epochs = [row.pop(name) for name in EPOCH if name in row]
        finished = max([finished, *(epoch + shift for epoch in epochs)])
        yield Row(row, finished if counts else None, max(0, step), latest - begun)


def _scalars(place: Path) -> Iterator[tuple[str, float, int, float]]:
    """Name, unix time, step and value of each; of TensorFlow's writers, which write tensors, and all others."""
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError as error:
        raise UsageError(
            f"{place}: event files are read by the package tensorboard, which is not installed: "
            "pip install tensorboard"
        ) from error
    events: Any = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        yield from ((tag, each.wall_time, each.step, each.value) for each in events.Scalars(tag))
    for tag in events.Tags()["tensors"]:
        if events.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            for each in events.Tensors(tag):
                yield tag, each.wall_time, each.step, float(make_ndarray(each.tensor_proto))
