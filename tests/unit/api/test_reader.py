"""Files read and written: lines, traps of YAML, overrides, several documents, the round trip."""

import json
from textwrap import dedent

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.api import TrainJob
from trainjobs.api.manifest import SpecError, dump, load, load_stopping, parse, parse_stopping


def test_a_file_is_read_into_types(file, mnist):
    job = load(file(mnist))
    assert job.metadata.name == "mnist"
    assert job.spec.trainer.config == {"learningRate": 0.001}
    assert [criterion.key for criterion in job.spec.stopping.criteria] == ["plateau", "threshold"]


def test_a_manifest_in_json_is_read_too(file, mnist):
    assert load(file(json.dumps(yaml.safe_load(mnist)))).spec.trainer.max_epochs == 100


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "patience: 5",
            "patience: 0",
            "mnist.yaml:13: spec.stopping.criteria[0].plateau.patience: 0: must be at least 1",
        ),
        (
            "patience: 5",
            "patiance: 5",
            'mnist.yaml:13: spec.stopping.criteria[0].plateau.patiance: 5: unknown field; did you mean "patience"?',
        ),
        (
            "minDelta",
            "min_delta",
            'mnist.yaml:14: spec.stopping.criteria[0].plateau.min_delta: 0.001: unknown field; '
            'did you mean "minDelta"?',
        ),
        (
            "- plateau",
            "- platau",
            'mnist.yaml:12: spec.stopping.criteria[0].platau: unknown field; did you mean "plateau"?',
        ),
        (
            "mode: max",
            "mode: maximum",
            'mnist.yaml:15: spec.stopping.criteria[1].threshold.mode: "maximum": must be one of min, max; '
            'did you mean "max"?',
        ),
        (
            "mode: max",
            "mode: MAX",
            'mnist.yaml:15: spec.stopping.criteria[1].threshold.mode: "MAX": must be one of min, max; '
            'did you mean "max"?',
        ),
        (
            "mode: max",
            "mode: best",
            'mnist.yaml:15: spec.stopping.criteria[1].threshold.mode: "best": must be one of min, max',
        ),
        (
            "entrypoint: ",
            "entrypont: ",
            'mnist.yaml:6: spec.trainer.entrypont: "train:train": unknown field; did you mean "entrypoint"?',
        ),
        (
            "    maxEpochs: 100\n",
            "",
            "mnist.yaml:5: spec.trainer: must name exactly one of maxEpochs, maxSteps; got none",
        ),
        (
            "spec:\n",
            "spec:\n  maxEpochs: 3\n",
            "mnist.yaml:5: spec.maxEpochs: 3: unknown field; it is a field of trainer",
        ),
        (
            "    config:",
            "    restoreBest: true\n    config:",
            "mnist.yaml:8: spec.trainer.restoreBest: true: unknown field; it is a field of spec.stopping",
        ),
        (
            "monitor: val_loss\n",
            "monitor: val_loss\n    minDelta: 1\n",
            "mnist.yaml:11: spec.stopping.minDelta: 1: unknown field; it is a field of criteria[].plateau",
        ),
        (
            "{name: mnist}",
            "{name: mnist, owner: me}",
            "mnist.yaml:3: metadata.owner: \"me\": unknown field; the fields here are name, namespace,",
        ),
        (
            "      - plateau:\n",
            "      - plateau:\n        name: slow\n      - plateau:\n",
            "mnist.yaml:12: spec.stopping.criteria[0]: must name exactly one of",
        ),
        ("kind: TrainJob\n", "", "mnist.yaml:1: kind: is required: add kind"),
        ("apiVersion: trainjobs.dev/v1alpha1\n", "", "mnist.yaml:1: apiVersion: is required: add apiVersion"),
        ("kind: TrainJob", "kind: Trainjob", 'mnist.yaml:2: kind: "Trainjob": must be TrainJob'),
        (
            "v1alpha1",
            "v1",
            'mnist.yaml:1: apiVersion: "trainjobs.dev/v1": must be trainjobs.dev/v1alpha1',
        ),
    ],
)  # fmt: skip
def test_an_error_names_line_path_value_and_remedy(file, problems, edited, old, new, expected):
    found = problems(file(edited((old, new))))
    assert len(found) == 1
    assert found[0].startswith(expected)


def test_an_empty_family_is_called_empty(file, problems, edited):
    found = problems(file(edited(("{monitor: val_accuracy, mode: max, value: 0.99}", ""))))
    assert found[0].endswith("got none; threshold is empty: write its value, or indent its fields below it")


def test_all_errors_come_at_once_in_the_order_of_the_file(file, problems, edited):
    text = edited(
        ("name: mnist", "name: MNIST"), ("maxEpochs: 100", "maxEpochs: -1"), ("patience: 5", "patience: yes")
    )
    lines = [problem.split(":")[1] for problem in problems(file(text + "  suspend: perhaps\n"))]
    assert lines == ["3", "7", "13", "16"]


def test_a_file_that_is_not_utf8_is_an_error_with_its_line(file, problems):
    assert problems(file(b"a: 1\nb: \xff\n")) == ["mnist.yaml:2: not UTF-8: save the file as UTF-8"]


def test_a_byte_order_mark_is_no_part_of_the_text(file, mnist):
    assert load(file(b"\xef\xbb\xbf" + mnist.encode())).metadata.name == "mnist"


def test_a_missing_file_is_the_callers_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    "others",
    [
        "kind: ConfigMap\napiVersion: v1\ndata: {a: b}\n",
        "kind: TrainJob\napiVersion: trainer.kubeflow.org/v1alpha1\nspec: {runtimeRef: {name: x}}\n",
        "kind: ConfigMap\ndata: {a: !mine x, a: y}\n",
        "# nothing\n",
        "- a\n- b\n",
    ],
)
def test_other_documents_of_the_file_are_ignored(file, mnist, others):
    assert load(file(f"{others}---\n{mnist}")).metadata.name == "mnist"
    assert load(file(f"{mnist}---\n{others}")).metadata.name == "mnist"


def test_lines_count_from_the_top_of_the_file_not_of_the_document(file, problems, edited):
    text = "kind: ConfigMap\n---\n" + edited(("maxEpochs: 100", "maxEpochs: 0"))
    assert problems(file(text)) == ["mnist.yaml:9: spec.trainer.maxEpochs: 0: must be at least 1"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "it holds nothing"),
        ("# only a comment\n---\n", "it holds nothing"),
        ("kind: Deployment\napiVersion: apps/v1\n", "it holds Deployment of apps/v1"),
        ("kind: Job\n---\nkind: Secret\n", "it holds Job of None, Secret of None"),
        (
            "kind: TrainJob\napiVersion: trainer.kubeflow.org/v1\n",
            "it holds TrainJob of trainer.kubeflow.org/v1",
        ),
    ],
)
def test_a_file_without_a_trainjob_is_refused_with_what_it_holds(file, problems, text, expected):
    found = problems(file(text))
    assert found == [
        f"mnist.yaml: must hold kind: TrainJob of apiVersion: trainjobs.dev/v1alpha1; {expected}"
    ]


def test_two_trainjobs_in_one_file_are_refused(file, mnist, problems):
    expected = "mnist.yaml:17: holds 2 TrainJobs: keep each one in a file of its own"
    assert problems(file(f"{mnist}---\n{mnist}")) == [expected]


@pytest.mark.parametrize("text", ["just text", "[1, 2]", "5"])
def test_a_document_that_is_no_mapping_is_refused(file, problems, text):
    assert "must be a mapping of fields" in problems(file(text))[0]


def test_criteria_are_read_from_a_trainjob_or_from_a_file_of_their_own(file, mnist, tmp_path):
    alone = tmp_path / "criteria.yaml"
    alone.write_text(
        dedent("""\
        monitor: val_loss
        criteria:
          - plateau: {patience: 5, minDelta: 0.001}
          - threshold: {monitor: val_accuracy, mode: max, value: 0.99}
        """)
    )
    assert load_stopping(alone) == load_stopping(file(mnist)) == load(file(mnist)).spec.stopping


def test_criteria_of_their_own_have_paths_from_the_top_of_their_file(file, problems):
    path = file("monitor: val_loss\ncriteria:\n  - plateau: {patience: 0}\n")
    expected = "criteria[0].plateau.patience: 0: must be at least 1"
    assert problems(path, read=load_stopping) == [f"mnist.yaml:3: {expected}"]
    setting = "criteria[0].plateau.patience=3"
    assert load_stopping(path, [setting]) == parse_stopping(
        {"monitor": "val_loss", "criteria": [{"plateau": {"patience": 3}}]}
    )


def test_criteria_may_stand_under_stopping_and_nothing_else(file, problems):
    path = file("stopping:\n  monitor: val_loss\n  criteria:\n    - plateau: {patience: 0}\n")
    expected = "stopping.criteria[0].plateau.patience: 0: must be at least 1"
    assert problems(path, read=load_stopping) == [f"mnist.yaml:4: {expected}"]
    setting = "stopping.criteria[0].plateau.patience=3"
    assert load_stopping(path, [setting]).criteria[0].plateau.patience == 3


def test_values_without_a_file_have_no_place(mnist):
    with pytest.raises(SpecError) as caught:
        parse({**yaml.safe_load(mnist), "spec": {"trainer": {"entrypoint": "a:b"}}})
    assert str(caught.value) == "spec.trainer: must name exactly one of maxEpochs, maxSteps; got none"


def test_the_canonical_manifest_states_defaults_and_leaves_out_what_is_unset(file, mnist):
    written = yaml.safe_load(dump(load(file(mnist))))
    assert list(written) == ["apiVersion", "kind", "metadata", "spec"]
    assert written["metadata"] == {"name": "mnist"}
    assert written["spec"]["backoffLimit"] == 3
    assert written["spec"]["checkpoint"] == {"everyEpochs": 1, "keep": 2}
    assert not {"podTemplate", "stop", "activeDeadlineSeconds"} & set(written["spec"])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(
        ["1e-3", "yes", "n", "~", "null", "0o7", "1:30", "2026-11-21", "=", "<<", "0x1", "1_0", ".inf"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(1, 1000)
FAMILY = st.one_of(
    st.fixed_dictionaries(
        {
            "plateau": st.fixed_dictionaries(
                {"patience": COUNT}, optional={"minDelta": NUMBER.map(abs), "baseline": NUMBER}
            )
        }
    ),
    st.fixed_dictionaries(
        {"threshold": st.fixed_dictionaries({"value": NUMBER, "mode": st.sampled_from(["min", "max"])})}
    ),
    st.fixed_dictionaries({"budget": st.fixed_dictionaries({"epochs": COUNT})}),
    st.fixed_dictionaries({"overfitting": st.fixed_dictionaries({"gap": NUMBER.map(abs)})}),
)
CRITERION = st.one_of(
    FAMILY,
    st.fixed_dictionaries({"all": st.lists(FAMILY, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"not": FAMILY, "shadow": st.booleans()}),
)
JOBS = st.builds(
    lambda config, env, criteria, pod, labels: parse(
        {
            "metadata": {"name": "a", "labels": labels},
            "spec": {
                "trainer": {
                    "entrypoint": "a:b",
                    "maxEpochs": 3,
                    "config": config,
                    "env": [{"name": f"A{i}", "value": value} for i, value in enumerate(env)],
                },
                "stopping": {"monitor": "val_loss", "criteria": criteria},
                "podTemplate": {"spec": pod},
            },
        }
    ),
    st.dictionaries(st.text(), JSON, max_size=3),
    st.lists(st.text(), max_size=2),
    st.lists(CRITERION, max_size=3),
    st.dictionaries(st.text(), JSON, max_size=2),
    st.dictionaries(st.text(), st.text(), max_size=2),
)


@settings(deadline=None, max_examples=60)
@given(job=JOBS)
def test_a_job_written_and_read_is_the_same_job_to_us_and_to_other_yaml_parsers(tmp_path_factory, job):
    path = tmp_path_factory.mktemp("round") / "job.yaml"
    text = dump(job)
    path.write_text(text, encoding="utf-8", newline="")
    assert load(path) == job
    assert dump(load(path)) == text
    assert parse(yaml.safe_load(text)) == job


def outcome(read, *args) -> object:
    """What was read, or the error; anything else that is raised fails the test."""
    try:
        return read(*args)
    except SpecError as error:
        return error


@settings(deadline=None, max_examples=100)
@given(text=st.text())
def test_any_text_is_a_job_or_a_spec_error(tmp_path_factory, text):
    assert_read_or_explained(tmp_path_factory, text)


@settings(deadline=None, max_examples=100)
@given(tail=st.text(alphabet="a1:-{}[]&*!<>|'\"#,?\n\t %@"))
def test_any_text_after_a_manifest_leaves_a_job_or_a_spec_error(tmp_path_factory, mnist, tail):
    assert_read_or_explained(tmp_path_factory, mnist + tail)


def assert_read_or_explained(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "job.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    found = outcome(load, path)
    assert isinstance(found, TrainJob) or (found.problems and str(found).startswith(str(path)))


@settings(deadline=None, max_examples=100)
@given(document=st.dictionaries(st.text(), JSON), spec=JSON)
def test_any_values_are_a_job_or_a_spec_error_whose_problems_can_be_shown(document, spec):
    found = outcome(parse, {**document, "metadata": {"name": "a"}, "spec": spec})
    assert isinstance(found, TrainJob) or all(problem.message and str(problem) for problem in found.problems)
