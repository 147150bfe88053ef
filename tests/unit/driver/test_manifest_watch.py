"""An edit of the manifest in a run directory asks once for what it changes; the driver's own writes ask for nothing."""

import pytest
from gpujob import JOB

from trainjobs.api.manifest import SpecError
from trainjobs.api.stopping import Stopping
from trainjobs.api.trainjob import Stop
from trainjobs.driver.manifest_watch import INTERVAL_S, ManifestWatch
from trainjobs.exits import UserError
from trainjobs.runs.directory import RunDirectory
from trainjobs.runs.requests import ChangeRequest, interrupt_request, stop_request

STOPPING = Stopping.model_validate({"monitor": "val_loss", "criteria": [{"plateau": {"patience": 7}}]})


def edited(**spec):
    return JOB.model_copy(update={"spec": JOB.spec.model_copy(update=spec)})


@pytest.fixture
def place(tmp_path):
    made = RunDirectory(tmp_path)
    made.write_job(JOB)
    return made


@pytest.fixture
def watch(place):
    return ManifestWatch(place)


@pytest.mark.parametrize(
    ("spec", "request_"),
    [
        ({"stop": Stop(reason="enough")}, stop_request("enough")),
        ({"suspend": True}, interrupt_request("spec.suspend is true")),
        ({"stopping": STOPPING}, ChangeRequest(STOPPING)),
        ({}, None),
    ],
)
def test_an_edit_asks_once(place, watch, spec, request_):
    place.write_job(edited(**spec))
    assert watch.look(JOB, 10.0) == request_
    assert watch.look(JOB, 20.0) is None


def test_a_manifest_that_nobody_edits_is_not_read(place, watch, monkeypatch):
    monkeypatch.setattr(RunDirectory, "job", lambda _: pytest.fail("read"))
    assert watch.look(edited(suspend=True), 10.0) is None


@pytest.mark.parametrize(
    ("later", "seen"), [(0.0, False), (INTERVAL_S - 0.01, False), (INTERVAL_S, True), (9.0, True)]
)
def test_it_is_looked_at_so_often_and_no_oftener(place, watch, later, seen):
    watch.look(JOB, 10.0)
    place.write_job(edited(suspend=True))
    assert (watch.look(JOB, 10.0 + later) is not None) is seen


def test_what_the_driver_wrote_itself_asks_for_nothing(place, watch):
    place.write_job(edited(suspend=True))
    watch.wrote()
    assert watch.look(JOB, 10.0) is None


def test_a_field_that_cannot_change_is_named_once_and_a_mended_manifest_is_followed(place, watch):
    trainer = JOB.spec.trainer.model_copy(update={"max_epochs": 3})
    place.write_job(edited(trainer=trainer, suspend=True))
    with pytest.raises(SpecError, match=r"spec\.trainer\.maxEpochs.*cannot change while the job runs"):
        watch.look(JOB, 10.0)
    assert watch.look(JOB, 20.0) is None
    place.write_job(edited(suspend=True))
    assert watch.look(JOB, 30.0) == interrupt_request("spec.suspend is true")


def test_a_manifest_that_cannot_be_looked_at_is_said_once(place, watch):
    place.manifest.unlink()
    place.manifest.symlink_to(place.manifest)
    with pytest.raises(UserError, match="symbolic links"):
        watch.look(JOB, 10.0)
    assert watch.look(JOB, 20.0) is None


def test_a_manifest_that_is_gone_for_a_moment_is_an_edit_when_it_is_back(place):
    place.manifest.unlink()
    watch = ManifestWatch(place)
    assert watch.look(JOB, 10.0) is None
    place.write_job(edited(suspend=True))
    assert watch.look(JOB, 20.0) == interrupt_request("spec.suspend is true")
