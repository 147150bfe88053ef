"""Advice: what is valid and probably not meant, and silence about the rest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from specifications import criteria as some_criteria
from specifications import defaults

import manifests
from trainjobs.api.manifest import parse
from trainjobs.lint import DataFacts, advise

PLATEAU = {"plateau": {"patience": 5}}
GOOD = {"monitor": "val_loss", "criteria": [PLATEAU]}
CRITERIA = "spec.stopping.criteria"


def job(stopping=GOOD, max_epochs=100, trainer=None, **spec):
    return manifests.job(trainer={"maxEpochs": max_epochs, **(trainer or {})}, stopping=stopping, **spec)


def by_steps(stopping=GOOD, max_steps=5000):
    return job(stopping, None, {"maxSteps": max_steps})


def criteria(*members, **stopping):
    return {"monitor": "val_loss", **stopping, "criteria": list(members)}


def advice(job, **facts) -> list[tuple[str, str]]:
    return [(each.path, each.message) for each in advise(job, DataFacts(**facts))]


@pytest.mark.parametrize(
    "quiet",
    [
        job(),
        job(criteria({"threshold": {"value": 0.1}}, restoreBest=True)),
        job(criteria({"threshold": {"monitor": "val_accuracy", "mode": "max", "value": 0.99}})),
        job(criteria({"divergence": {"monitor": "train_loss", "factor": 2}}, PLATEAU)),
        job(criteria({"nonFinite": {"monitor": "loss"}}, PLATEAU)),
        job(criteria({"overfitting": {"gap": 0.3, "against": "train_loss"}})),
        job(criteria(PLATEAU, minEpochs=99)),
        job(criteria({"all": [{"not": {"threshold": {"value": 1}}}, PLATEAU]})),
        job(criteria({"plateau": {"patience": 98}})),
        job(criteria(PLATEAU, monitor="reconstruction", mode="max")),
        job(criteria({"budget": {"seconds": 60}}, monitor=None)),
        job(criteria({"budget": {"seconds": 60}}, monitor="train_loss")),
        job({**GOOD, "restoreBest": True}, checkpoint={"everyEpochs": 5}),  # a new best is kept at once
        job(criteria({"budget": {"steps": 3000}}), 1),
        job(criteria(PLATEAU, {"threshold": {"value": 1}}, minSteps=100, startAfter={"step": 200}), 1),
        by_steps(),
        job(criteria({"oneStandardError": {"patience": 5, "samples": 100}}, monitor="val_error")),
        job(criteria({"oneStandardError": {"patience": 5, "standardError": "val_loss_error"}})),
        job(criteria({"adaptivePatience": {"patience": 5, "decay": 2, "minDelta": 0.1}})),
        job(
            criteria({"evidence": {}}, {"gradientDisparity": {}}),
            trainer={"numNodes": 2},
            checkpoint={"storage": {"claimName": "a"}},
        ),
        job(criteria({"evidence": {"monitor": "own"}})),
        by_steps(criteria({"plateau": {"patience": 4999}}, minSteps=4999, startAfter={"step": 4998})),
        by_steps(criteria({"budget": {"steps": 4999}}, {"budget": {"epochs": 7}}, startAfter={"epoch": 3})),
    ],
)
def test_a_sound_manifest_needs_no_advice(quiet):
    assert advise(quiet) == []


@pytest.mark.parametrize(
    ("advised", "path", "part"),
    [
        (job({}), CRITERIA, "trains all 100 epochs: add one"),
        (job(criteria({**PLATEAU, "shadow": True})), CRITERIA, "all are shadow"),
        (job(criteria(PLATEAU, minEpochs=100)), "spec.stopping.minEpochs", "lower it below 100"),
        (
            job(criteria(PLATEAU, startAfter={"epoch": 100})),
            "spec.stopping.startAfter.epoch",
            "after the last epoch",
        ),
        (
            job(criteria({"plateau": {"patience": 100}})),
            f"{CRITERIA}[0].plateau.patience",
            "cannot stop the run before epoch 101, and maxEpochs is 100",
        ),
        (job(criteria({"plateau": {"patience": 99}})), f"{CRITERIA}[0].plateau.patience", "before epoch 100"),
        (job(criteria({"plateau": {"patience": 5}}), 5), f"{CRITERIA}[0].plateau.patience", "before epoch 6"),
        (
            job(criteria({"plateau": {"patience": 60}}, startAfter={"epoch": 50})),
            f"{CRITERIA}[0].plateau.patience",
            "before epoch 111",
        ),
        (job(criteria({"budget": {"epochs": 100}})), f"{CRITERIA}[0].budget.epochs", "before epoch 100"),
        (
            job(criteria({**PLATEAU, "startAfter": {"epoch": 200}})),
            f"{CRITERIA}[0].startAfter.epoch",
            "before epoch 206",
        ),
        (
            job(criteria(PLATEAU, {"all": [{"overfitting": {"gap": 1, "patience": 200}}, PLATEAU]})),
            f"{CRITERIA}[1].all[0].overfitting.patience",
            "all cannot stop the run before epoch 200",
        ),
        (job({}, 1), CRITERIA, "trains its 1 epoch: add one"),
        (
            job(criteria(PLATEAU, minEpochs=1), 1),
            "spec.stopping.minEpochs",
            "leave it out, or raise maxEpochs",
        ),
        (job(criteria({"budget": {"epochs": 1}}), 1), f"{CRITERIA}[0].budget.epochs", "before epoch 1, and"),
        (
            job(criteria({"budget": {"steps": 10}, "startAfter": {"epoch": 100}})),
            f"{CRITERIA}[0].startAfter.epoch",
            "before epoch 101",
        ),
        (by_steps({}), CRITERIA, "trains all 5000 steps: add one"),
        (by_steps(criteria({**PLATEAU, "shadow": True})), CRITERIA, "trains all 5000 steps: let at least"),
        (
            by_steps(criteria(PLATEAU, minSteps=5000)),
            "spec.stopping.minSteps",
            "equals maxSteps, so nothing can stop the run early: lower it below 5000",
        ),
        (
            by_steps(criteria(PLATEAU, startAfter={"step": 5000})),
            "spec.stopping.startAfter.step",
            "opens after the last step (5000)",
        ),
        (
            by_steps(criteria({"budget": {"steps": 5000}})),
            f"{CRITERIA}[0].budget.steps",
            "budget cannot stop the run before step 5000, and maxSteps is 5000: lower it, or raise maxSteps",
        ),
        (
            by_steps(criteria({**PLATEAU, "startAfter": {"step": 4999}})),
            f"{CRITERIA}[0].startAfter.step",
            "before step 5000",
        ),
        (job(criteria({"not": PLATEAU})), f"{CRITERIA}[0].not", "put it into all beside another criterion"),
        (
            job(criteria(PLATEAU, monitor="train_loss")),
            "spec.stopping.monitor",
            "train_loss looks like a training metric",
        ),
        (
            job(criteria(PLATEAU, monitor="loss")),
            "spec.stopping.monitor",
            "loss looks like a training metric",
        ),
        (
            job(criteria(monitor="loss", restoreBest=True) | GOOD | {"monitor": "loss", "restoreBest": True}),
            "spec.stopping.monitor",
            "name a validation metric, such as val_loss",
        ),
        (
            job(criteria({"plateau": {"patience": 5, "monitor": "train_acc", "mode": "max"}})),
            f"{CRITERIA}[0].plateau.monitor",
            "train_acc looks like a training metric",
        ),
        (
            job(criteria({"all": [{"plateau": {"patience": 5, "monitor": "loss"}}]})),
            f"{CRITERIA}[0].all[0].plateau.monitor",
            "loss looks like a training metric",
        ),
        (job(criteria(PLATEAU, monitor="test_loss")), "spec.stopping.monitor", "no independent test"),
        (
            job(criteria(PLATEAU, monitor="val_accuracy")),
            "spec.stopping.mode",
            "is min, but by its name val_accuracy is better when it is high: if so, write mode: max",
        ),
        (
            job(criteria({"plateau": {"patience": 5, "mode": "max"}})),
            f"{CRITERIA}[0].plateau.mode",
            "is max, but by its name val_loss is better when it is low: if so, write mode: min",
        ),
        (
            job(criteria({"threshold": {"monitor": "val_acc", "value": 0.9}})),
            f"{CRITERIA}[0].threshold.mode",
            "write mode: max",
        ),
        (
            job({**GOOD, "restoreBest": True}, trainer={"image": "a"}),
            "spec.checkpoint.storage",
            "name a claim or a URI",
        ),
        (
            job({**GOOD, "restoreBest": True}, trainer={"numNodes": 3}),
            "spec.checkpoint.storage",
            "the pods of 3 nodes share no disk",
        ),
        (job(stop={"reason": "enough"}), "spec.stop", "remove it to train"),
        (
            job(trainer={"env": [{"name": "LEVEL"}, {"name": "TRAINJOBS_HEAD", "value": "x"}]}),
            "spec.trainer.env[1].name",
            "is TRAINJOBS_HEAD, which in a cluster is the operator's",
        ),
        (
            job(criteria({"extrapolation": {}}), 10),
            f"{CRITERIA}[0].extrapolation",
            "before epoch 10, and maxEpochs is 10: raise maxEpochs",
        ),
        (
            job(criteria({"weighted": {"patience": 5, "others": [{"metric": "val_accuracy"}]}})),
            f"{CRITERIA}[0].weighted.others[0].mode",
            "is min, but by its name val_accuracy is better when it is high",
        ),
        (
            job(criteria({"all": [{"oneStandardError": {"patience": 5, "samples": 100}}, PLATEAU]})),
            f"{CRITERIA}[0].all[0].oneStandardError.samples",
            "val_loss does not look like a rate",
        ),
        (
            job(criteria({"adaptivePatience": {"patience": 5, "decay": 2}})),
            f"{CRITERIA}[0].adaptivePatience.decay",
            "lets minDelta fall, which is 0",
        ),
        (
            job(criteria({"evidence": {}}), trainer={"numNodes": 1}),
            f"{CRITERIA}[0].evidence",
            "there is one worker, so the run refuses to start",
        ),
        (job(suspend=True), "spec.suspend", "until it is set to false"),
    ],
)
def test_what_is_probably_not_meant_gets_one_advice_at_its_place(advised, path, part):
    found = advice(advised)
    assert [at for at, _ in found] == [path]
    assert part in found[0][1]


@pytest.mark.parametrize(
    ("samples", "patience", "usual"),
    [
        (None, 1, None),
        (0, 3, None),
        (9_999, 5, None),
        (9_999, 2, "3 to 5"),
        (9_999, 6, "3 to 5"),
        (10_000, 5, None),
        (10_000, 7, None),
        (10_000, 4, "5 to 7"),
        (99_999, 8, "5 to 7"),
        (100_000, 10, None),
        (100_000, 50, None),
        (100_000, 9, "10 or more"),
    ],
)
def test_patience_is_compared_with_the_size_of_the_data_if_that_is_known(samples, patience, usual):
    found = advice(job(criteria({"plateau": {"patience": patience}})), train_samples=samples)
    expected = [] if usual is None else [f"{CRITERIA}[0].plateau.patience"]
    assert [path for path, _ in found] == expected
    assert all(f"for which {usual} is usual" in message for _, message in found)


def test_patience_of_a_shadow_or_inside_a_composition_is_the_authors_experiment():
    short = {"plateau": {"patience": 1}}
    experiment = job(criteria(PLATEAU, {**short, "shadow": True}, {"all": [short, PLATEAU]}))
    assert advice(experiment, train_samples=100) == []


@pytest.mark.parametrize(("has_test_set", "count"), [(None, 0), (True, 0), (False, 1)])
def test_a_missing_test_set_is_mentioned_when_it_is_known_to_be_missing(has_test_set, count):
    found = advice(job(), has_test_set=has_test_set)
    assert [path for path, _ in found] == ["spec.stopping"] * count


def test_advice_is_given_once_for_a_metric_that_many_criteria_inherit():
    found = advice(
        job(criteria(PLATEAU, {"threshold": {"value": 0.1}}, monitor="train_loss", restoreBest=True))
    )
    assert [path for path, _ in found] == ["spec.stopping.monitor"]


@given(
    st.lists(some_criteria, max_size=3),
    st.sampled_from([{"maxEpochs": 1}, {"maxEpochs": 4}, {"maxSteps": 30}, {"maxSteps": 1}]),
    defaults,
)
def test_advice_names_only_what_the_manifest_has_or_could_have_at_once(several, length, above):
    above = {key: value for key, value in above.items() if not key.startswith("min")}
    spec = {"trainer": {"entrypoint": "a:b", **length}, "stopping": {"monitor": "a", **above}}
    spec["stopping"]["criteria"] = several
    for one in advise(parse({"metadata": {"name": "a"}, "spec": spec})):
        found = spec
        for step in re.findall(r"\w+", one.path)[1:]:
            found = found[int(step)] if step.isdecimal() else found[step]
        assert ("maxSteps" in one.message) <= ("maxSteps" in length)
        assert ("maxEpochs" in one.message) <= ("maxEpochs" in length)


def test_every_advice_is_a_sentence_with_a_remedy():
    found = advice(
        job(criteria(PLATEAU, {"not": PLATEAU}, monitor="train_loss", minEpochs=4), 4, suspend=True, stop={}),
        train_samples=10,
        has_test_set=False,
    )
    assert len(found) >= 6
    assert all(message[0].islower() and "  " not in message for _, message in found)
