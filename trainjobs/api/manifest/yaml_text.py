"""YAML read and written as a Kubernetes client does: JSON's values only, and `1e-3` is a number.

PyYAML follows YAML 1.1, where `1e-3` is text, `1:30` is 90, `2026-11-21` a date, and `n` and `08` are texts; to
kubectl these are 0.001, two texts, false and 8, and a manifest has to mean the same to both. Texts that either
of them would take for something else are quoted when written.
"""

import copy
import re
from collections.abc import Callable
from typing import Any, Final

import yaml

from trainjobs.api.base import Location, path_text
from trainjobs.api.manifest.document import DEEPEST, Document, SourceLine
from trainjobs.api.manifest.problems import Problem, SpecError, UnreadableError, shown

_MOST_NODES: Final = 100_000
_TOO_MUCH: Final = f"nests deeper than {DEEPEST} levels or holds more than {_MOST_NODES} values"
_TAG: Final = "tag:yaml.org,2002:"
_TRUE: Final = ("y", "yes", "true", "on")

_INTEGER = re.compile(
    r"([-+]_*)?(0_*[bB]_*[01][01_]*|0_*[oO]_*[0-7][0-7_]*|0_*[xX]_*[0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)$"
)
_EXPONENT = "[eE]_*[-+]?_*[0-9][0-9_]*"
_FLOAT = re.compile(
    rf"([-+]_*)?[0-9][0-9_]*(\.[0-9_]*({_EXPONENT})?|{_EXPONENT})$|[-+]_*\._*[0-9][0-9_]*({_EXPONENT})?$"
    r"|\.[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+(_[0-9]+)*)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)
_BOOLEAN = re.compile("(y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$")
_NULL = re.compile(r"(~|null|Null|NULL|)$")


class _TooManyNodesError(Exception):
    """A document is too large to be composed; its argument is the line."""


class _Composer(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    _composed = 0

    def compose_document(self) -> yaml.Node | None:
        self._composed = 0
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Nodes cost far more than the values that they become, so they are counted before all are there."""
        self._composed += 1
        if self._composed > 2 * _MOST_NODES:  # names of fields are nodes, too
            raise _TooManyNodesError(self.peek_event().start_mark.line + 1)  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = copy.deepcopy(yaml.SafeDumper.yaml_implicit_resolvers)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def text(self, data: str) -> yaml.ScalarNode:
        """PyYAML writes YAML's rarer line breaks as they are, and reads them as blanks: escape them."""
        style = '"' if re.search("[\r\x85\u2028\u2029\ufeff]", data) else None
        return self.represent_scalar(f"{_TAG}str", data, style)


_Dumper.add_representer(str, _Dumper.text)
for _resolver in (_Composer, _Dumper):
    _resolver.add_implicit_resolver(f"{_TAG}null", _NULL, ["~", "n", "N", ""])
    _resolver.add_implicit_resolver(f"{_TAG}bool", _BOOLEAN, list("yYnNtTfFoO"))
    _resolver.add_implicit_resolver(f"{_TAG}int", _INTEGER, list("-+0123456789"))
    _resolver.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+0123456789."))
    _resolver.add_implicit_resolver(f"{_TAG}merge", re.compile("<<$"), ["<"])


def documents(text: str, source: str) -> list[Document]:
    """Every document of a YAML text that is not empty.

    A repeated key or a tag that JSON has no type for becomes a problem of its document. Raises UnreadableError,
    with line and column, for text that is not YAML, and SpecError for more than 64 levels or 100,000 values
    (which aliases can make of a short text).
    """
    try:
        nodes = [node for node in yaml.compose_all(text, _Composer) if node is not None]
    except yaml.YAMLError as error:
        raise UnreadableError([_malformed(error, text, source)]) from None
    except _TooManyNodesError as error:
        raise SpecError([Problem("", None, _TOO_MUCH, error.args[0], source)]) from None
    except RecursionError:
        raise SpecError([Problem("", None, f"nests deeper than {DEEPEST} levels", None, source)]) from None
    read = [_Reading(source).document(node) for node in nodes]
    return [document for document in read if document.value is not None or document.problems]


def scalar(text: str) -> Any:
    """One value on a line, such as `0.1`, `[1, 2]` or `{epoch: 3}`; raises ValueError with the reason."""
    try:
        found = documents(text, "")
    except SpecError as error:
        raise ValueError(error.problems[0].message) from None
    for _, problem in found[0].problems if found else ():
        raise ValueError(": ".join(filter(None, (problem.path, problem.message))))
    return found[0].value if found else None


def write(value: Any) -> str:
    """Plain values as YAML in block style, keys in the order given."""
    written: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=100
    )
    return written


def _malformed(error: yaml.YAMLError, text: str, source: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark, reason = error.problem_mark, ", ".join(filter(None, (error.context, error.problem)))
        return Problem("", None, f"column {mark.column + 1}: not YAML: {reason}", mark.line + 1, source)
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        column = error.position - before.rfind("\n")
        reason = f"character #x{ord(text[error.position]):04x} is not allowed"
        return Problem("", None, f"column {column}: not YAML: {reason}", before.count("\n") + 1, source)
    return Problem("", None, f"not YAML: {error}", None, source)


class _Reading:
    """One pass over the nodes of a document."""

    def __init__(self, source: str) -> None:
        self.problems: list[tuple[Location, Problem]] = []
        self._source = source
        self._places: dict[Location, SourceLine] = {}
        self._nodes = 0
        self._merging = 0

    def document(self, node: yaml.Node) -> Document:
        value = self._value(node, ())
        return Document(value, self._places, tuple(self.problems))

    def _value(self, node: yaml.Node, at: Location) -> Any:
        self._nodes += 1
        if len(at) + self._merging > DEEPEST or self._nodes > _MOST_NODES:
            raise SpecError([Problem("", None, _TOO_MUCH, node.start_mark.line + 1, self._source)])
        self._places.setdefault(at, self._place(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, at)
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            self._refuse(node, at, _unsupported(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        return [self._value(item, (*at, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
        merged = [value for key, value in node.value if key.tag == f"{_TAG}merge"]
        inherited = {key: value for part in reversed(merged) for key, value in self._merged(part, at).items()}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                continue
            name = self._name(key_node, at)
            if name is None:
                continue
            place = (*at, name)
            if name in own:
                line = self._places[place].line
                self._refuse(key_node, place, f"is already given in line {line}: keep one of them")
                continue
            self._places[place] = self._place(key_node)
            own[name] = self._value(value_node, place)
        return {**inherited, **own}

    def _merged(self, node: yaml.Node, at: Location) -> dict[str, Any]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            if isinstance(part, yaml.MappingNode):
                self._merging += 1  # what is merged is as deep, and may be a ring: `a: &a {<<: *a}`
                merged = {**self._value(part, at), **merged}
                self._merging -= 1
            else:
                self._refuse(part, (*at, "<<"), "must refer to a mapping, or to a list of mappings")
        return merged

    def _name(self, node: yaml.Node, at: Location) -> str | None:
        """What a field is called; None, and a problem, for what is no text."""
        if node.tag == f"{_TAG}str":
            return str(node.value)
        if isinstance(node, yaml.ScalarNode):
            rule = f"a field's name must be text: write {shown(node.value)}, with the quotes"
            self._refuse(node, (*at, node.value), rule)
        else:
            self._refuse(node, at, "a field's name must be text, not a list or a mapping")
        return None

    def _scalar(self, node: yaml.ScalarNode, at: Location) -> Any:
        kind = node.tag.removeprefix(_TAG)
        try:
            return _SCALARS[kind](node.value)
        except KeyError:
            self._refuse(node, at, _unsupported(node))
        except ValueError:
            self._refuse(node, at, f"{node.value!r} cannot be read as {kind}")
        return None

    def _refuse(self, node: yaml.Node, at: Location, message: str) -> None:
        place = self._place(node)
        self.problems.append((at, Problem(path_text(at), None, message, place.line, place.source)))

    def _place(self, node: yaml.Node) -> SourceLine:
        return SourceLine(self._source, node.start_mark.line + 1)


def _unsupported(node: yaml.Node) -> str:
    return f"the tag {node.tag.replace(_TAG, '!!')} is not supported: leave it out"


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    if re.match("[-+]?0[0-7]+$", digits):
        return int(digits, 8)
    return int(digits, 10 if re.match("[-+]?[0-9]+$", digits) else 0)  # 08 is 8


def _float(text: str) -> float:
    return float(text.replace("_", "").casefold().replace(".inf", "inf").replace(".nan", "nan"))


def _boolean(text: str) -> bool:
    if not _BOOLEAN.match(text):
        raise ValueError(text)
    return text.casefold() in _TRUE


_SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    "str": str,
    "int": _integer,
    "float": _float,
    "bool": _boolean,
    "null": lambda _: None,
    "merge": str,
}
