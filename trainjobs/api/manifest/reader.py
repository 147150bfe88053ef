"""Manifests: a file read into types, with errors that say where and what to do, and types written as a file.

Values are checked as strictly as the API server checks them: no number for a boolean or a text, no text for a
number, names as the manifest spells them (camelCase).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import ValidationError

from trainjobs.api.base import Location, Model
from trainjobs.api.fields import names_in, nearest
from trainjobs.api.kinds import API_VERSION
from trainjobs.api.manifest import yaml_text
from trainjobs.api.manifest.document import DEEPEST, TOO_LARGE, Document
from trainjobs.api.manifest.messages import explained, unwritable
from trainjobs.api.manifest.override import override
from trainjobs.api.manifest.problems import Problem, SpecError, UnreadableError
from trainjobs.api.stopping import Stopping
from trainjobs.api.trainjob import TrainJob

if TYPE_CHECKING:
    from trainjobs.api.sweep import TrainSweep

LARGEST = 2**24
"""Bytes of a file with manifests; a cluster takes far less."""
_KIND = "TrainJob"
_SWEEP = "TrainSweep"

M = TypeVar("M", bound=Model)


class _StoppingAlone(Model):
    """A document with `stopping` and nothing else."""

    stopping: Stopping
    """What would stand in a TrainJob's spec."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a YAML file holds: read once, as it may be a pipe, and looked at as often as one likes.

    Each `PATH=VALUE` of `overrides` is set in turn; paths start at the top of the file.
    """

    source: str
    documents: tuple[Document, ...]
    overrides: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path, overrides: Sequence[str] = ()) -> Self:
        """Raises UnreadableError for a text that is not YAML, and OSError if the file cannot be read."""
        return cls(str(path), tuple(_documents(path)), tuple(overrides))

    def job(self) -> TrainJob:
        """The one TrainJob; other documents are ignored. Raises SpecError with every problem found."""
        return _typed(self._trainjob(), TrainJob, required=("apiVersion", "kind"))

    @property
    def holds_sweep(self) -> bool:
        """Whether there is a TrainSweep."""
        return any(document.get("kind") == _SWEEP for document in self.documents)

    def sweep(self) -> "TrainSweep":
        """The one TrainSweep; other documents are ignored. Raises SpecError with every problem found."""
        from trainjobs.api.sweep import TrainSweep  # its types take the operator 7 MiB, and it reads none

        found = _overridden(_the_only(self.documents, self.source, _SWEEP), self.overrides)
        return _typed(found, TrainSweep, required=("apiVersion", "kind"))

    def sweep_problem(self, at: Location, value: Any, message: str) -> Problem:
        """A problem with what the TrainSweep says at a location, and where it says so."""
        return _overridden(_the_only(self.documents, self.source, _SWEEP), self.overrides).problem(
            at, value, message
        )

    def stopping(self) -> Stopping:
        """The criteria of a TrainJob, of a document with `stopping` alone, or of what stands under that.

        Raises SpecError.
        """
        if not self._is_stopping_alone:
            return self.job().spec.stopping
        alone = _overridden(self.documents[0], self.overrides)
        if alone.get("stopping") is not None:
            return _typed(alone, _StoppingAlone).stopping
        return _typed(alone, Stopping)

    @property
    def holds_stopping_alone(self) -> bool:
        """Whether there are criteria and no TrainJob."""
        fields = {"stopping", *names_in(Stopping)}
        return self._is_stopping_alone and any(self.documents[0].get(field) is not None for field in fields)

    def problem(self, at: Location, value: Any, message: str) -> Problem:
        """A problem with what the TrainJob says at a location, and where it says so."""
        return self._trainjob().problem(at, value, message)

    @property
    def _is_stopping_alone(self) -> bool:
        alone = len(self.documents) == 1
        return alone and not any(self.documents[0].get(field) for field in ("apiVersion", "kind", "spec"))

    def _trainjob(self) -> Document:
        return _overridden(_the_only(self.documents, self.source, _KIND), self.overrides)


def load(path: Path, overrides: Sequence[str] = ()) -> TrainJob:
    """The one TrainJob of a YAML file, as `Manifest` reads it. Raises SpecError, and OSError."""
    return Manifest.read(path, overrides).job()


def load_stopping(path: Path, overrides: Sequence[str] = ()) -> Stopping:
    """The criteria of a YAML file, as `Manifest` reads them. Raises SpecError, and OSError."""
    return Manifest.read(path, overrides).stopping()


def parse(document: Mapping[str, Any]) -> TrainJob:
    """A TrainJob from plain values, as JSON or the API server gives them. Raises SpecError."""
    return _typed(Document(_without_notes(document)), TrainJob)


def parse_sweep(document: Mapping[str, Any]) -> "TrainSweep":
    """A TrainSweep from plain values. Raises SpecError."""
    from trainjobs.api.sweep import TrainSweep

    return _typed(Document(_without_notes(document)), TrainSweep)


def _without_notes(document: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what the API server notes of each field's writer, which nests some levels deeper than the
    field and is nobody's mistake."""
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        return dict(document)
    return {**document, "metadata": {name: metadata[name] for name in metadata if name != "managedFields"}}


def parse_stopping(document: Mapping[str, Any]) -> Stopping:
    """What stands under `stopping`, from plain values. Raises SpecError; paths start below `stopping`."""
    return _typed(Document(dict(document)), Stopping)


def dump(part: Model) -> str:
    """A TrainJob, or a part of one, as YAML that `load` reads back as an equal one.

    Fields are in the order of the types. Defaults are written out, so that a later default changes nothing;
    what is unset or empty by default is left out.
    """
    written = part.model_dump(mode="json", by_alias=True, exclude_none=True)
    _leave_out_empty(part, written)
    return yaml_text.write(written)


def _documents(path: Path) -> list[Document]:
    source = str(path)
    with path.open("rb") as file:
        written = file.read(LARGEST + 1)
    if len(written) > LARGEST:
        raise UnreadableError(
            [Problem("", None, f"has more than {LARGEST:,} bytes: no manifest has", None, source)]
        )
    try:
        text = written.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = written[: error.start].count(b"\n") + 1
        problem = Problem("", None, "not UTF-8: save the file as UTF-8", line, source)
        raise UnreadableError([problem]) from None
    return yaml_text.documents(text, source)


def _the_only(found: Sequence[Document], source: str, kind: str) -> Document:
    ours = [document for document in found if _resembles(document, kind, closely=len(found) > 1)]
    if len(ours) == 1:
        return ours[0]
    if ours:
        message = f"holds {len(ours)} {kind}s: keep each one in a file of its own"
        raise SpecError([ours[1].problem((), None, message)])
    kinds = ", ".join(f"{document.get('kind')} of {document.get('apiVersion')}" for document in found)
    message = f"must hold kind: {kind} of apiVersion: {API_VERSION}; it holds {kinds or 'nothing'}"
    raise SpecError([Problem("", None, message, None, source)])


def _resembles(document: Document, kind: str, closely: bool) -> bool:
    """Whether this is of a kind; unless `closely` also with a slip in its kind or group, or without them."""
    return (isinstance(document.value, Mapping) or not closely) and all(
        word == ours or (not closely and nearest(word, [ours]) is not None)
        for word, ours in (
            (str(document.get("kind") or kind), kind),
            (str(document.get("apiVersion") or API_VERSION).partition("/")[0], API_VERSION.partition("/")[0]),
        )
    )


def _overridden(document: Document, overrides: Sequence[str]) -> Document:
    problems: list[Problem] = []
    for setting in overrides:
        try:
            document = override(document, setting)
        except SpecError as error:
            problems.extend(error.problems)
    if problems:
        raise SpecError(problems)
    return document


def _typed(document: Document, model: type[M], required: tuple[str, ...] = ()) -> M:
    found = [*document.problems, *unwritable(document, model)]
    if any(len(at) > DEEPEST for at, _ in found):
        raise SpecError(problem for _, problem in found)
    if isinstance(document.value, Mapping):
        absent = [name for name in required if name not in document.value]
        found += [((name,), document.problem((name,), None, f"is required: add {name}")) for name in absent]
    typed: M | None = None
    try:
        typed = model.model_validate(document.value, by_alias=True, by_name=False)
    except ValidationError as error:
        told = explained(error, model, document)
        bounded = {at for at, _ in told}  # a field's own bound says more than that of 64 bits
        found = [one for one in found if not (one[1].message == TOO_LARGE and one[0] in bounded)]
        known = {problem.path for _, problem in found}
        found += [one for one in told if one[1].path not in known]
    if typed is None or found:
        raise SpecError(problem for _, problem in sorted(found, key=lambda one: _order(document, *one)))
    return typed


def _order(document: Document, at: Location, problem: Problem) -> tuple[int, tuple[int, ...]]:
    return problem.line or 0, document.order(at)


def _leave_out_empty(part: Model, written: dict[str, Any]) -> None:
    for name, field in type(part).model_fields.items():
        value, key = getattr(part, name), field.alias or name
        for index, below in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(below, Model):
                _leave_out_empty(below, written[key][index])
        if isinstance(value, Model):
            _leave_out_empty(value, written[key])
        empty_by_default = not field.is_required() and field.get_default(call_default_factory=True) == value
        if written.get(key) in ({}, []) and empty_by_default:
            del written[key]
