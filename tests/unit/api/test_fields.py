"""What may stand at a place of a manifest is read from its types, also for what was misspelt or put elsewhere."""

import pytest

from trainjobs.api.fields import homes, is_free, is_list, model_at, models_in, names_in, nearest, values_at
from trainjobs.api.stopping import AtLeast, AtLeastMembers, Criterion, Member, Plateau, Single, Stopping
from trainjobs.api.trainjob import Trainer, TrainJob

CRITERIA = ("spec", "stopping", "criteria")


@pytest.mark.parametrize(
    ("at", "model"),
    [
        ((), TrainJob),
        (("spec", "trainer"), Trainer),
        (("spec", "stopping"), Stopping),
        ((*CRITERIA, 3), Criterion),
        ((*CRITERIA, 0, "plateau"), Plateau),
        ((*CRITERIA, 0, "atLeast"), AtLeastMembers),
        ((*CRITERIA, 0, "atLeast", "of", 1), Member),
        (("spec", "trainer", "config"), None),
        (("spec", "trainer", "config", "layers"), None),
        (("spec", "trainer", "maxEpochs"), None),
        (("spec", "trainer", "max_epochs"), None),
        (("spec", "stoping"), None),
        (("spec", 0), None),
        ((*CRITERIA, "plateau"), None),
    ],
)
def test_the_mapping_at_a_location_has_a_type_where_the_types_know_one(at, model):
    assert model_at(TrainJob, at) is model


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ((*CRITERIA, 0, "plateau", "mode"), ("min", "max")),
        (("kind",), ("TrainJob",)),
        (("metadata", "name"), ()),
        ((*CRITERIA, 0, "plateau", "patience"), ()),
        (("nowhere",), ()),
    ],
)
def test_an_enum_or_a_literal_allows_its_words_and_any_other_type_whatever_fits(at, words):
    assert values_at(TrainJob, at) == words


@pytest.mark.parametrize(
    ("at", "free"),
    [
        (("spec", "trainer", "config", "layers"), True),
        (("spec", "trainer", "config", "layers", 0, "width"), True),
        (("spec", "trainer", "config"), False),
        (("spec", "trainer", "maxEpochs"), False),
        ((), False),
    ],
)
def test_any_value_may_stand_in_a_trainers_config_and_below(at, free):
    assert is_free(TrainJob, at) is free


def test_names_are_as_the_manifest_writes_them_and_lists_are_told_from_mappings():
    names = names_in(AtLeast)
    assert list(names) == ["count", "of"]
    assert (is_list(names["of"]), list(models_in(names["of"]))) == (True, [Single])
    trainer = names_in(Trainer)
    assert "numProcPerNode" in trainer
    assert "num_proc_per_node" not in trainer
    assert (is_list(trainer["maxEpochs"]), list(models_in(trainer["maxEpochs"]))) == (False, [])


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("maxEpoch", "maxEpochs"),
        ("max_epochs", "maxEpochs"),
        ("MAX-EPOCHS", "maxEpochs"),
        ("numNods", "numNodes"),
        ("wherefore", None),
        ("", None),
    ],
)
def test_a_slip_is_forgiven_and_a_strange_word_is_not_guessed_at(word, meant):
    assert nearest(word, ["maxEpochs", "numNodes", "entrypoint"]) == meant


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("maxEpochs", ["spec.trainer"]),
        ("monitor", ["spec.stopping"]),
        ("criteria", ["spec.stopping"]),
        ("labels", ["metadata"]),
        ("count", ["spec.stopping.criteria[].atLeast"]),
        ("apiVersion", []),
        ("wherefore", []),
    ],
)
def test_a_field_in_the_wrong_place_is_shown_its_shallowest_homes(name, found):
    assert homes(TrainJob, name) == found
