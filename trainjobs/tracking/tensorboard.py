"""TensorBoard: event files in the run directory's `tensorboard/`, written without torch and TensorFlow."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalar
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.text import metadata as text
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from trainjobs.api.reasons import RunOutcome
from trainjobs.tracking.tracker import Ending, TrackedRun, Tracker, last_scalars, scalars

if TYPE_CHECKING:
    from trainjobs.runs import events

FOLDER: Final = "tensorboard"
"""Where event files are, in the run directory."""
_VERSION: Final = "brain.Event:2"
"""The first record of every event file; from this version on a start takes back the steps from its own on."""


class TensorBoard(Tracker):
    """One event file for each life of the driver; TensorBoard reads all of a folder as one run, the oldest first.

    It is open only while something is written, so that another node, too, sees at once what is in it.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        folder = run.folder / FOLDER
        self._is_first = not folder.is_dir()
        folder.mkdir(parents=True, exist_ok=True)
        # files are read in the order of their names: a resume may come within the same second
        self._path = folder / f"events.out.tfevents.{time.time():017.6f}.{socket.gethostname()}.{os.getpid()}"
        self._write(_at(0, file_version=_VERSION))
        self._is_laid_out = False

    def started(self, event: events.Started) -> None:
        history = event.history
        first = history[-1].step + 1 if history else 0
        start = _at(first, session_log=SessionLog(status=SessionLog.START))
        self._write(start, _at(first, summary=hparams_pb(dict(self._run.settings), trial_id=self._run.name)))
        if self._is_first and history:  # what was reported before there was a log
            ended = time.time() - history[-1].seconds
            self._write(
                *(_at(seen.step, _curves(seen.metrics), wall_time=ended + seen.seconds) for seen in history)
            )
        self._is_first = False

    def reported(self, event: events.Reported) -> None:
        step = event.observation.step
        if event.best and not self._is_laid_out:
            self._write(_at(step, _layout(event.best.metric)))
            self._is_laid_out = True
        self._write(_at(step, _curves(scalars(event))))

    def ended(self, ending: Ending) -> None:
        said = (_curves(last_scalars(ending)), _sentence(ending.sentence), _end(ending))
        self._write(*(_at(ending.step, summary) for summary in said))

    def _write(self, *records: Any) -> None:
        with self._path.open("ab") as file:
            for record in records:
                RecordWriter(file).write(record.SerializeToString())


def _at(step: int, summary: Any = None, **fields: Any) -> Any:
    """A record of an event file; of now, unless `wall_time` is given."""
    return Event(step=step, summary=summary, **{"wall_time": time.time(), **fields})


def _curves(values: Mapping[str, float]) -> Any:
    """Of the tab SCALARS."""
    return Summary(value=[Summary.Value(tag=name, simple_value=value) for name, value in values.items()])


def _sentence(sentence: str) -> Any:
    """Of the tab TEXT."""
    tensor = make_tensor_proto(sentence.encode())
    return _summary("decision", text.create_summary_metadata(display_name="decision", description=""), tensor)


def _layout(metric: str) -> Any:
    """Of the tab CUSTOM SCALARS: the metric with its best value and where it was stopped, in one chart."""
    tags = [f"^{re.escape(tag)}$" for tag in (metric, f"best/{metric}", f"stop/{metric}")]
    chart = layout_pb2.Chart(title=metric, multiline=layout_pb2.MultilineChartContent(tag=tags))
    layout = layout_pb2.Layout(category=[layout_pb2.Category(title="best and stop", chart=[chart])])
    tensor = make_tensor_proto(layout.SerializeToString())
    return _summary(custom_scalar.CONFIG_SUMMARY_TAG, custom_scalar.create_summary_metadata(), tensor)


def _end(ending: Ending) -> Any:
    """Of the tab HPARAMS: how the run has ended."""
    status = api_pb2.STATUS_FAILURE if ending.outcome is RunOutcome.FAILED else api_pb2.STATUS_SUCCESS
    told = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(session_end_info=told)
    return _summary(hparams.SESSION_END_INFO_TAG, hparams.create_summary_metadata(data), hparams.NULL_TENSOR)


def _summary(tag: str, metadata: Any, tensor: Any) -> Any:
    return Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=tensor)])
