"""The traps of YAML: what a scalar is, repeated fields, lines and columns, texts without end."""

import json

import pytest
import yaml

from trainjobs.api.manifest import load, yaml_text
from trainjobs.api.manifest.problems import SpecError
from trainjobs.api.manifest.yaml_text import documents, write


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("patience: 5\n          patience: 6", "already given in line 13: keep one of them"),
        ("patience: 5\n          'patience': 5", "already given in line 13: keep one of them"),
    ],
)
def test_a_repeated_field_is_an_error_even_with_the_same_value(file, problems, edited, text, expected):
    found = problems(file(edited(("patience: 5", text))))
    assert found == [f"mnist.yaml:14: spec.stopping.criteria[0].plateau.patience: is {expected}"]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("kind: TrainJob\nspec: {a: [1, 2}\n", 2, 16),
        ("kind: TrainJob\n\tspec: 1\n", 2, 1),
        ("kind: a: b\n", 1, 8),
        ("a: &x 1\nb: *y\n", 2, 4),
        ("a: 1\nb: \x07\n", 2, 4),
        ('a: "1\n', 2, 1),
    ],
)
def test_text_that_is_not_yaml_is_an_error_with_line_and_column(file, problems, text, line, column):
    found = problems(file(text))
    assert len(found) == 1
    assert found[0].startswith(f"mnist.yaml:{line}: column {column}: not YAML: ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E-3", 0.001),
        ("1e3", 1000.0),
        ("+1.5e2", 150.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0", 0),
        ("1_000", 1000),
        ("0x1f", 31),
        ("0b11", 3),
        ("0o17", 15),
        ("017", 15),
        ("010", 8),
        ("08", 8),
        ("-09.50", -9.5),
        ("0X1F", 31),
        ("yes", True),
        ("Off", False),
        ("y", True),
        ("N", False),
        ("~", None),
        ("", None),
        ("2026-11-21", "2026-11-21"),
        ("1:30", "1:30"),
        ("1.2.3", "1.2.3"),
        (".1_", ".1_"),
        ("tRUE", "tRUE"),
        ("e5", "e5"),
        ("'1e-3'", "1e-3"),
        ("!!str 5", "5"),
        ("!!float 5", 5.0),
        ("=", "="),
        ("<", "<"),
    ],
)
def test_a_scalar_is_read_as_kubectl_reads_it(file, edited, text, value):
    found = load(file(edited(("learningRate: 1e-3}", f"learningRate: {text}}}")))).spec.trainer.config[
        "learningRate"
    ]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".nan", "NaN: must be a finite number"),
        ("-.inf", "-Infinity: must be a finite number"),
        ("1e999", "Infinity: must be a finite number"),
        ("99999999999999999999", "99999999999999999999: must fit in 64 bits"),
        ('"\\ud800"', '"?": must be valid Unicode'),
        ("!!python/object:os.system x", "the tag !!python/object:os.system is not supported: leave it out"),
        ("!mine {a: 1}", "the tag !mine is not supported: leave it out"),
        ("!!int x", "'x' cannot be read as int"),
        ("!!bool x", "'x' cannot be read as bool"),
    ],
)
def test_what_json_cannot_hold_is_refused_once(file, problems, edited, text, expected):
    found = problems(file(edited(("learningRate: 1e-3", f"learningRate: {text}"))))
    assert len(found) == 1
    assert found[0].startswith(f"mnist.yaml:8: spec.trainer.config.learningRate: {expected}")


@pytest.mark.parametrize("key", ["1", "true", "null", "1.5", "n", "Y", "off", "010", "~"])
def test_a_field_name_that_yaml_reads_as_something_else_is_refused(file, problems, edited, key):
    (found,) = problems(file(edited(("learningRate: 1e-3", f"{key}: 1"))))
    assert f'a field\'s name must be text: write "{key}", with the quotes' in found
    name = json.dumps(key)
    assert load(file(edited(("learningRate: 1e-3", f"{name}: 1")))).spec.trainer.config == {key: 1}


@pytest.mark.parametrize("keys", ["1: a, true: b", "0: a, false: b, 0.0: c", "1: a, 1: b", "[a]: 1, [b]: 2"])
def test_field_names_that_are_no_text_and_equal_in_python_are_refused(file, problems, edited, keys):
    found = problems(file(edited(("learningRate: 1e-3", keys))))
    assert len(found) >= 2
    assert all("a field's name must be text" in problem for problem in found)


def test_a_list_is_no_field_name(file, problems, edited):
    assert "a field's name must be text" in problems(file(edited(("learningRate: 1e-3", "? [a] : 1"))))[0]


def test_anchors_and_merge_keys_are_resolved_and_own_fields_win(file, edited):
    text = edited(
        (
            "config: {learningRate: 1e-3}",
            "config:\n      base: &base {a: 1, b: 1}\n      own: {b: 2, <<: *base}",
        ),
    )
    assert load(file(text)).spec.trainer.config["own"] == {"a": 1, "b": 2}


def test_the_first_of_several_merged_mappings_wins(file, edited):
    text = edited(("{learningRate: 1e-3}", "{v: &v {a: 1}, w: &w {a: 2, b: 2}, z: {<<: [*v, *w]}}"))
    assert load(file(text)).spec.trainer.config["z"] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "config",
    [
        "&a {b: *a}",
        "&a [*a, *a]",
        "&a {<<: *a}",
        "&a {<<: [{<<: *a}, {b: *a}]}",
        "[" * 100 + "]" * 100,
        "[" * 5000 + "]" * 5000,
        "{a: &a [1,1,1,1,1,1,1,1,1,1], b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a], c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b],"
        " d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c], e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]}",
    ],
    ids=[
        "inside-itself",
        "twice-inside-itself",
        "merged-into-itself",
        "merged-in-a-ring",
        "deep",
        "very-deep",
        "many",
    ],
)
def test_a_text_that_would_never_end_is_refused(file, problems, edited, config):
    found = problems(file(edited(("{learningRate: 1e-3}", config))))
    assert len(found) == 1
    assert "nests deeper than 64 levels" in found[0]


def test_of_a_text_that_is_too_long_only_its_beginning_is_composed(monkeypatch):
    composed = []
    known = yaml_text._Composer.compose_scalar_node
    monkeypatch.setattr(
        yaml_text._Composer, "compose_scalar_node", lambda *args: composed.append(1) or known(*args)
    )
    monkeypatch.setattr(yaml_text, "_MOST_NODES", 100)
    with pytest.raises(SpecError, match="holds more than"):
        documents("[" + "1, " * 1000 + "1]", "f")
    assert len(composed) <= 200
    assert documents("{a: 1}\n---\n" * 300 + "{}", "f")


@pytest.mark.parametrize(
    "value",
    [
        "a\x85b",
        "\u2028",
        "\ufeffx",
        "a\r\nb",
        "a\nb\n",
        "\t",
        " a ",
        "1e-3",
        "n",
        "y",
        "0o7",
        "08",
        "0X1F",
        "+_1",
        "1:30",
        "2026-11-21",
        "<<",
        "é",
        "a: b",
    ],
)
def test_a_text_is_written_so_that_it_is_read_back_the_same(value):
    written = write({value: [value]})
    assert documents(written, "a.yaml")[0].value == {value: [value]}
    assert yaml.safe_load(written) == {value: [value]}


@pytest.mark.parametrize("keys", ["1: a, true: b", "true: a, 1: b", "1: a, 1.0: b", "0: a, no: b, 0.0: c"])
def test_keys_that_are_one_key_to_python_are_refused_and_not_mixed_up(file, problems, edited, keys):
    found = problems(file(edited(("{learningRate: 1e-3}", f"{{{keys}}}"))))
    assert len(found) == keys.count(":")
    assert all("a field's name must be text: write " in problem for problem in found)


def test_a_field_with_a_control_character_in_its_name_is_quoted(file, problems, edited):
    (found,) = problems(file(edited(("maxEpochs: 100", 'maxEpochs: 100\n    "a\\nb\\e[2J": 1'))))
    assert found.startswith('mnist.yaml:8: spec.trainer["a\\nb\\u001b[2J"]: 1: unknown field')
