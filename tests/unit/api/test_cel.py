"""Rules between fields as expressions: what each type demands, and whom the API server blames."""

import pytest

from trainjobs.api.base import Choice, Form, HowMany, Model
from trainjobs.api.change import MUTABLE
from trainjobs.api.crd.cel import Rule, rule_of_form, rules_of
from trainjobs.api.monitoring import StartAfter
from trainjobs.api.stopping import AtLeast, AtLeastMembers, Criterion, Member, Plateau, Single, Stopping
from trainjobs.api.trainjob import Trainer, TrainJob, TrainJobSpec

COUNT = ("count must be at most the number of members", "")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Plateau, []),
        (AtLeast, [COUNT]),
        (AtLeastMembers, [COUNT]),
        (
            StartAfter,
            [
                ("must name exactly one of epoch, step, metric", ""),
                ("metric: must name exactly one of below, above", ""),
                ("below: goes with metric only", ""),
                ("above: goes with metric only", ""),
            ],
        ),
        (
            Stopping,
            [
                ("must name a metric, here or in stopping.monitor", ".criteria"),
                ("must name the metric whose best model restoreBest restores", ".monitor"),
                ("must be unique", ".criteria"),
            ],
        ),
        (
            TrainJobSpec,
            [
                ("must be at most trainer.maxEpochs", ".stopping.minEpochs"),
                ("must be at most trainer.maxSteps", ".stopping.minSteps"),
            ],
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_type_has_its_own_rules_each_with_the_field_to_blame(model, said):
    assert [(rule.message, rule.path) for rule in rules_of(model)] == said


@pytest.mark.parametrize(
    ("many", "rule", "message"),
    [
        (
            HowMany.EXACTLY_ONE,
            "[has(self.maxSize), has(self.b)].exists_one(given, given)",
            "must name exactly one of maxSize, b",
        ),
        (HowMany.AT_LEAST_ONE, "has(self.maxSize) || has(self.b)", "must name at least one of maxSize, b"),
        (
            HowMany.AT_MOST_ONE,
            "[has(self.maxSize), has(self.b)].filter(given, given).size() <= 1",
            "must name at most one of maxSize, b",
        ),
    ],
)
def test_alternatives_are_counted_by_the_names_of_the_manifest(many, rule, message):
    class Either(Model):
        max_size: int | None = None
        b: int | None = None
        name: str = ""
        choice = Choice(many, beside=("name",))

    assert rules_of(Either) == [Rule(rule, message)]


def test_a_form_is_a_rule_about_the_whole_text():
    found = rule_of_form(Form("[a-z]+|x", "a word, such as abc"))
    assert found == Rule("self.matches(r'^([a-z]+|x)$')", "must be a word, such as abc")


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("", {"rule": "r", "message": "m"}),
        (".spec", {"rule": "r", "message": "m", "fieldPath": ".spec"}),
    ],
)
def test_an_entry_blames_a_field_or_the_whole(path, entry):
    assert Rule("r", "m", path).as_json() == entry


@pytest.mark.parametrize("family", ["plateau", "threshold", "overfitting", "divergence", "nonFinite"])
def test_whoever_reads_a_metric_is_asked_for_it_at_two_depths_and_in_every_composition(family):
    rule = rules_of(Stopping)[-3].rule
    for at in ("c", "m", "c.not"):
        assert f"(!has({at}.{family}) || has({at}.{family}.monitor))" in rule
    assert "budget" not in rule
    assert rule.count(f".{family}.monitor)") == 4
    assert "c.all.all(m, " in rule
    assert "c.atLeast.of.all(m, " in rule


@pytest.mark.parametrize("model", [Single, Member, Criterion])
def test_a_criterion_is_one_family_or_composition_whatever_its_depth(model):
    (rule,) = rules_of(model)
    assert rule.message.startswith("must name exactly one of ")
    assert ("atLeast" in rule.rule) is (model is not Single)
    assert "startAfter" not in rule.rule


def test_processes_are_compared_with_the_gpus_of_any_vendor():
    (rule,) = (rule for rule in rules_of(Trainer) if rule.path == ".numProcPerNode")
    assert "n.endsWith('/gpu')" in rule.rule
    assert "self.numProcPerNode <= g" in rule.rule


def test_every_field_that_must_not_change_has_a_rule_and_no_other():
    kept = {rule.path for rule in rules_of(TrainJob) if "oldSelf" in rule.rule}
    fields = {field.alias or name for name, field in TrainJobSpec.model_fields.items()}
    assert kept == {f".spec.{name}" for name in fields - MUTABLE}


def test_the_name_of_a_job_is_asked_for_where_the_api_server_has_it():
    (rule,) = (rule for rule in rules_of(TrainJob) if rule.path == ".metadata.name")
    assert rule.rule.startswith("self.metadata.name.matches(r'^(")
