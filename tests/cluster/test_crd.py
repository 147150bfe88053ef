"""The API server and `trainjobs validate` judge alike: same path, same sentence, same defaults."""

import copy
import json

import pytest
import yaml
from criterion_plots import SCENES
from testbed.kubectl import KubectlError

from manifests import manifest
from trainjobs.api.manifest import SpecError, parse

PLATEAU = {"plateau": {"patience": 3}}
LOSS = {"monitor": "val_loss"}


def by_steps(max_steps=None, **spec):
    """One whose length is a number of steps; without one it has no length."""
    job = manifest(**spec)
    trainer = job["spec"]["trainer"]
    del trainer["maxEpochs"]
    if max_steps is not None:
        trainer["maxSteps"] = max_steps
    return job


def stopping(*criteria, **fields):
    return manifest(stopping={**LOSS, **fields, "criteria": list(criteria)})


def problems(document) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        parse(document)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def refusal(team, document) -> str:
    with pytest.raises(KubectlError) as caught:
        team("create", "--dry-run=server", "--filename=-", stdin=json.dumps(document))
    return caught.value.stderr


IN_OUR_WORDS = {
    "name": (manifest(name="2-mnist"), "metadata.name", "must be lower-case letters, digits and '-'"),
    "entrypoint": (
        manifest(trainer={"entrypoint": "train.py"}),
        "spec.trainer.entrypoint",
        "must be module:function, such as train:train for the function train in train.py",
    ),
    "image": (
        manifest(trainer={"image": "a b"}),
        "spec.trainer.image",
        "must be an image reference without blanks, such as registry.example/train:1.2",
    ),
    "variable": (
        manifest(trainer={"env": [{"name": "2A"}]}),
        "spec.trainer.env[0].name",
        "must be letters, digits, '_', '-' and '.', not beginning with a digit",
    ),
    "value and source": (
        manifest(
            trainer={"env": [{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}
        ),
        "spec.trainer.env[0]",
        "must name at most one of value, valueFrom",
    ),
    "config map": (
        manifest(trainer={"code": {"configMap": "Code_1"}}),
        "spec.trainer.code.configMap",
        "must be lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
    ),
    "another controller": (
        manifest(managedBy="kueue"),
        "spec.managedBy",
        "must be a domain, '/' and a name, such as kueue.x-k8s.io/multikueue",
    ),
    "no storage": (
        manifest(checkpoint={"storage": {}}),
        "spec.checkpoint.storage",
        "must name exactly one of claimName, uri",
    ),
    "two storages": (
        manifest(checkpoint={"storage": {"claimName": "a", "uri": "/a"}}),
        "spec.checkpoint.storage",
        "must name exactly one of claimName, uri",
    ),
    "uri": (
        manifest(checkpoint={"storage": {"uri": "runs"}}),
        "spec.checkpoint.storage.uri",
        "must be a URI or an absolute path without blanks",
    ),
    "epochs": (
        stopping(minEpochs=101),
        "spec.stopping.minEpochs",
        "must be at most trainer.maxEpochs",
    ),
    "steps": (
        by_steps(9, stopping={"minSteps": 10}),
        "spec.stopping.minSteps",
        "must be at most trainer.maxSteps",
    ),
    "no length": (
        by_steps(),
        "spec.trainer",
        "must name exactly one of maxEpochs, maxSteps",
    ),
    "two lengths": (
        manifest(trainer={"maxSteps": 9}),
        "spec.trainer",
        "must name exactly one of maxEpochs, maxSteps",
    ),
    "restoreBest": (
        manifest(stopping={"restoreBest": True}),
        "spec.stopping.monitor",
        "must name the metric whose best model restoreBest restores",
    ),
    "no family": (
        stopping({"name": "x"}),
        "spec.stopping.criteria[0]",
        "must name exactly one of auto, plateau, threshold,",
    ),
    "two families": (
        stopping(PLATEAU, {**PLATEAU, "threshold": {"value": 1}}),
        "spec.stopping.criteria[1]",
        "must name exactly one of auto, plateau, threshold,",
    ),
    "two families in a member": (
        stopping({"all": [{**PLATEAU, "threshold": {"value": 1}}]}),
        "spec.stopping.criteria[0].all[0]",
        "must name exactly one of auto, plateau, threshold,",
    ),
    "two families in a member's member": (
        stopping({"all": [{"atLeast": {"count": 1, "of": [{**PLATEAU, "threshold": {"value": 1}}]}}]}),
        "spec.stopping.criteria[0].all[0].atLeast.of[0]",
        "must name exactly one of auto, plateau, threshold,",
    ),
    "label": (
        stopping({**PLATEAU, "name": "slow plateau"}),
        "spec.stopping.criteria[0].name",
        'must be made of letters, digits, "-", "_" and ".", such as slow-plateau',
    ),
    "limits of divergence": (
        stopping({"divergence": {"value": 1, "factor": 2}}),
        "spec.stopping.criteria[0].divergence",
        "must name exactly one of value, factor, amount",
    ),
    "budget": (
        stopping({"budget": {}}),
        "spec.stopping.criteria[0].budget",
        "must name at least one of epochs, steps, seconds",
    ),
    "count": (
        stopping({"atLeast": {"count": 2, "of": [PLATEAU]}}),
        "spec.stopping.criteria[0].atLeast",
        "count must be at most the number of members",
    ),
    "smoothing": (
        stopping(PLATEAU, smoothing={"ema": {"alpha": 0.5}, "mean": {"window": 2}}),
        "spec.stopping.smoothing",
        "must name exactly one of ema, mean, median",
    ),
    "gate": (
        stopping(PLATEAU, startAfter={"epoch": 1, "metric": "a", "below": 1}),
        "spec.stopping.startAfter",
        "must name exactly one of epoch, step, metric",
    ),
    "bound of a gate": (
        stopping(PLATEAU, startAfter={"metric": "a"}),
        "spec.stopping.startAfter",
        "metric: must name exactly one of below, above",
    ),
    "more processes than GPUs": (
        manifest(trainer={"numProcPerNode": 4, "resourcesPerNode": {"limits": {"nvidia.com/gpu": "2"}}}),
        "spec.trainer.numProcPerNode",
        "must be at most the GPUs of a node in resourcesPerNode.limits",
    ),
    "bound without a metric": (
        stopping(PLATEAU, startAfter={"epoch": 1, "above": 1}),
        "spec.stopping.startAfter",
        "above: goes with metric only",
    ),
}

PATH_ABOVE = {
    "monitor": (
        manifest(stopping={"criteria": [PLATEAU]}),
        "spec.stopping.criteria[0].plateau.monitor",
        "spec.stopping.criteria",
        "must name a metric, here or in stopping.monitor",
    ),
    "monitor of a member": (
        manifest(stopping={"criteria": [{"not": {"overfitting": {"gap": 1}}}]}),
        "spec.stopping.criteria[0].not.overfitting.monitor",
        "spec.stopping.criteria",
        "must name a metric, here or in stopping.monitor",
    ),
    "names": (
        stopping({**PLATEAU, "name": "a"}, {**PLATEAU, "name": "a"}),
        "spec.stopping.criteria[1].name",
        "spec.stopping.criteria",
        "must be unique",
    ),
}

IN_KUBERNETES_WORDS = {
    "too small": (
        manifest(trainer={"maxEpochs": 0}),
        "spec.trainer.maxEpochs",
        "must be at least 1",
        "should be greater than or equal to 1",
    ),
    "too large": (
        manifest(trainer={"numNodes": 10_001}),
        "spec.trainer.numNodes",
        "must be at most 10000",
        "should be less than or equal to 10000",
    ),
    "not above": (
        stopping(PLATEAU, smoothing={"ema": {"alpha": 0}}),
        "spec.stopping.smoothing.ema.alpha",
        "must be greater than 0",
        "should be greater than 0",
    ),
    "long name": (
        manifest(name="a" * 53),
        "metadata.name",
        "must have at most 52 characters",
        "Too long: may not be more than 52 bytes",
    ),
    "word": (
        stopping(PLATEAU, mode="best"),
        "spec.stopping.mode",
        "must be one of min, max",
        'supported values: "min", "max"',
    ),
    "type": (
        manifest(trainer={"maxEpochs": "5"}),
        "spec.trainer.maxEpochs",
        "must be a whole number, not text: remove the quotes",
        'must be of type integer: "string"',
    ),
    "required": (
        {**manifest(), "spec": {"trainer": {"maxEpochs": 1}}},
        "spec.trainer.entrypoint",
        "is required: add entrypoint",
        "Required value",
    ),
    "too many": (
        stopping(*[PLATEAU] * 17),
        "spec.stopping.criteria",
        "must have at most 16 items, has 17",
        "Too many: 17: must have at most 16 items",
    ),
    "many annotations": (
        manifest(podTemplate={"metadata": {"annotations": {f"a{n}": "" for n in range(65)}}}),
        "spec.podTemplate.metadata.annotations",
        "must have at most 64 items, has 65",
        "Too many: 65: must have at most 64 items",
    ),
    "long annotation": (
        manifest(podTemplate={"metadata": {"annotations": {"a": "x" * 32_769}}}),
        "spec.podTemplate.metadata.annotations.a",
        "must have at most 32768 characters",
        "Too long: may not be more than 32768 bytes",
    ),
    "many settings": (
        manifest(trainer={"config": {f"a{n}": n for n in range(1025)}}),
        "spec.trainer.config",
        "must have at most 1024 items, has 1025",
        "Too many: 1025: must have at most 1024 items",
    ),
    "no member": (
        stopping({"all": []}),
        "spec.stopping.criteria[0].all",
        "must hold at least one criterion; got none",
        "should have at least 1 items",
    ),
    "same variable twice": (
        manifest(trainer={"env": [{"name": "A"}, {"name": "A"}]}),
        "spec.trainer.env[1]",
        "is also the name of env[0]; keep one of them",
        "Duplicate value",
    ),
    "quantity": (
        manifest(trainer={"resourcesPerNode": {"limits": {"cpu": "lots"}}}),
        "spec.trainer.resourcesPerNode.limits.cpu",
        "must be a quantity",
        "should match",
    ),
    "unknown field": (
        manifest(trainer={"epochs": 3}),
        "spec.trainer.epochs",
        "unknown field",
        'unknown field "spec.trainer.epochs"',
    ),
}


@pytest.mark.parametrize("case", IN_OUR_WORDS)
def test_the_api_server_refuses_in_our_words(team, case):
    document, path, sentence = IN_OUR_WORDS[case]
    assert any(at == path and said.startswith(sentence) for at, said in problems(document))
    refused = refusal(team, document)
    assert path + ": " in refused
    assert sentence in refused


@pytest.mark.parametrize("case", PATH_ABOVE)
def test_the_api_server_names_the_list_where_an_expression_cannot_name_an_item(team, case):
    document, path, above, sentence = PATH_ABOVE[case]
    assert any(at == path and said.startswith(sentence) for at, said in problems(document))
    refused = refusal(team, document)
    assert above + ": " in refused
    assert sentence in refused


@pytest.mark.parametrize("case", IN_KUBERNETES_WORDS)
def test_the_api_server_refuses_in_its_own_words_what_it_has_words_for(team, case):
    document, path, ours, theirs = IN_KUBERNETES_WORDS[case]
    assert any(at.startswith(path) and said.startswith(ours) for at, said in problems(document))
    refused = refusal(team, document)
    assert path in refused
    assert theirs in refused


FAMILIES = [yaml.safe_load(f"{{{scene.criterion}}}") for scene in SCENES.values()]
"""Each criterion as its page draws it."""
VALID = {
    "small": manifest(),
    **{f"families from {i}": stopping(*FAMILIES[i : i + 8]) for i in range(0, len(FAMILIES), 8)},
    "steps": by_steps(
        10**12,
        checkpoint={"everySteps": 1000},
        stopping={
            **LOSS,
            "minSteps": 10**12,
            "minEpochs": 5,
            "startAfter": {"step": 0},
            "criteria": [PLATEAU],
        },
    ),
    "criteria": stopping(
        {"plateau": {"patience": 1}},
        {"threshold": {"value": 0.9, "mode": "max"}, "name": "goal"},
        {"divergence": {"factor": 1}, "shadow": True},
        {"nonFinite": {}},
        {"budget": {"steps": 100}},
        {"overfitting": {"gap": 0.5}},
        {"all": [PLATEAU, {"not": {"threshold": {"value": 1}}}]},
        {"atLeast": {"count": 1, "of": [{"all": [{"plateau": {"patience": 2, "minDelta": 0.1}}]}]}},
        {"not": {"startAfter": {"metric": "a", "below": 3}, "budget": {"seconds": 1.5}}},
        restoreBest=True,
        minEpochs=100,
        smoothing={"median": {"window": 3}},
        startAfter={"epoch": 0},
    ),
    "cluster": manifest(
        managedBy="kueue.x-k8s.io/multikueue",
        trainer={
            "config": {"hidden": 128, "layers": [1, {"a": None}], "deep": {"er": {"still": True}}},
            "image": "registry.example/train:1.2",
            "env": [
                {"name": "A", "value": "1"},
                {"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "t"}}},
            ],
            "resourcesPerNode": {
                "limits": {"nvidia.com/gpu": 2, "amd.com/gpu": "0", "memory": "8Gi"},
                "requests": {"cpu": "500m"},
            },
            "numProcPerNode": 2,
            "code": {"configMap": "mnist-code"},
            "numNodes": 2,
        },
        checkpoint={"storage": {"claimName": "checkpoints"}},
        podTemplate={"spec": {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}]}},
        stop={},
        ttlSecondsAfterFinished=0,
    ),
}


@pytest.mark.parametrize("case", VALID)
def test_what_is_valid_is_accepted_and_gets_the_same_defaults(team, case):
    team.create(VALID[case])
    stored = team.get("tjob/mnist")
    assert parse(stored).spec == parse(VALID[case]).spec
    assert scalars(stored["spec"]) >= scalars(
        parse(VALID[case]).spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    )


@pytest.mark.parametrize("how", [(), ("--server-side",)], ids=["client-side", "server-side"])
@pytest.mark.parametrize("case", ["criteria", "cluster"])
def test_what_is_applied_again_is_unchanged(team, case, how):
    text = json.dumps(VALID[case])
    team("apply", *how, "--filename=-", stdin=text)
    before = team.get("tjob/mnist")["metadata"]["resourceVersion"]
    assert team("diff", *how, "--filename=-", stdin=text) == ""
    team("apply", *how, "--filename=-", stdin=text)
    assert team.get("tjob/mnist")["metadata"]["resourceVersion"] == before


def test_who_applies_the_same_after_somebody_else_changes_nothing(team):
    team("apply", "--filename=-", stdin=json.dumps(VALID["small"]))
    team.apply(VALID["small"])
    assert team.get("tjob/mnist")["metadata"]["generation"] == 1


def scalars(value, path="") -> set[tuple[str, str]]:
    """Every number, truth and word with its path, but those inside a composition; quantities as text."""
    if isinstance(value, dict):
        return {leaf for key, below in value.items() for leaf in scalars(below, f"{path}.{key}")}
    if isinstance(value, list):
        return {leaf for i, below in enumerate(value) for leaf in scalars(below, f"{path}[{i}]")}
    deep = path.count(".all[") + path.count(".of[") + path.count(".not.") > 0
    number = isinstance(value, int | float) and not isinstance(value, bool) and "resources" not in path
    return set() if deep or value == "" else {(path, str(float(value)) if number else str(value))}


def start(team, document=VALID["cluster"]) -> None:
    team.create(document)
    status = {"status": {"startTime": "2026-11-21T10:00:00Z"}}
    team("patch", "tjob", "mnist", "--subresource=status", "--type=merge", f"--patch={json.dumps(status)}")


def changed(path: str, value):
    document = copy.deepcopy(VALID["cluster"])
    *steps, last = path.split(".")
    target = document["spec"]
    for step in steps:
        target = target.setdefault(step, {})
    target[last] = value
    return document


FIXED = [
    ("trainer.maxEpochs", 50),
    ("trainer.config", {"hidden": 64}),
    ("trainer.config", {"width": 128, "layers": [1, {"a": None}], "deep": {"er": {"still": True}}}),
    ("trainer.config", {"hidden": 128, "layers": [1, {"a": None}], "deep": {"er": {"yet": True}}}),
    ("trainer.env", [{"name": "A", "value": "2"}]),
    ("trainer.numNodes", 3),
    ("checkpoint.keep", 5),
    ("podTemplate.spec", {"affinity": {}, "tolerations": [{"operator": "Exists"}]}),
    ("backoffLimit", 5),
]


def test_after_the_start_only_the_mutable_fields_change(team):
    start(team)
    for path, value in FIXED:
        with pytest.raises(KubectlError) as caught:
            team("replace", "--filename=-", stdin=json.dumps(changed(path, value)))
        field = path.split(".")[0]
        assert f"spec.{field}: " in caught.value.stderr, path
        assert "cannot change after the start: make a new TrainJob" in caught.value.stderr
    for path, value in [
        ("suspend", True),
        ("stop", {"reason": "good enough"}),
        ("stopping", {"monitor": "loss", "criteria": [PLATEAU]}),
        ("ttlSecondsAfterFinished", 60),
        ("activeDeadlineSeconds", 60),
        ("startupDeadlineSeconds", 60),
        ("progressDeadlineSeconds", 60),
    ]:
        team("replace", "--filename=-", stdin=json.dumps(changed(path, value)))


def test_before_the_start_everything_changes(team):
    team.create(VALID["cluster"])
    for path, value in FIXED:
        team("replace", "--filename=-", stdin=json.dumps(changed(path, value)))


def test_status_is_written_apart_from_the_spec(team):
    team.create({**manifest(), "status": {"restarts": 3}})
    assert "status" not in team.get("tjob/mnist")


def test_the_table_tells_the_story(team):
    team.create(manifest())
    status = {
        "conditions": [
            {
                "type": t,
                "status": "True",
                "reason": "EarlyStopped",
                "lastTransitionTime": "2026-11-21T10:00:00Z",
            }
            for t in ("Complete", "EarlyStopped")
        ],
        "training": {"epoch": 17, "best": {"metric": "val_loss", "value": "0.398", "epoch": 12}},
        "stopping": {"criterion": "plateau"},
        "accounting": {"gpuHoursSaved": 1.5},
    }
    team(
        "patch", "tjob", "mnist", "--subresource=status", "--type=merge",
        f"--patch={json.dumps({'status': status})}",
    )  # fmt: skip
    header, row = team("get", "trainjobs").splitlines()
    assert header.split("  ")[0] == "NAME"
    assert row.split()[:6] == ["mnist", "EarlyStopped", "17", "0.398", "plateau", "1.5"]
