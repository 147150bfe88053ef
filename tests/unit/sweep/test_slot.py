"""A slot when Ray Tune has changed its mind since it asked for one."""

from kept_sweeps import kept_sweep

from trainjobs.sweeps import slot
from trainjobs.sweeps.slot import Slot


def test_a_slot_that_comes_up_for_a_trial_that_has_ended_in_another_leaves_it_as_it_is(tmp_path, monkeypatch):
    """As when a pod comes back late: Ray Tune gives its trial to the next slot that is free, and ends the new one."""
    monkeypatch.setattr(slot, "members", lambda *_: [])  # without Ray there are none
    sweep = kept_sweep(tmp_path / "sweep", trials=1, epochs=3)
    (trial,) = sweep.trials().values()
    files = [path for path in sweep.run(trial.name).path.rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in files}
    late = Slot.__new__(Slot)  # the actor's part of its making is Ray's
    late.setup({"trial": trial.name, "parameters": trial.parameters}, str(sweep.path), str(tmp_path))
    late.cleanup()
    assert {path: path.read_bytes() for path in kept if path.exists()} == kept
