"""A slot over several nodes: two nodes of Ray, both on this machine, with a rank on each."""

import ray
from ray.cluster_utils import Cluster
from sweeps import sweep, trials

from trainjobs.api.manifest import Manifest
from trainjobs.driver.ray_internals.node import lean
from trainjobs.driver.ray_launcher import RayCluster, set_defaults
from trainjobs.runs.events import Started, Starting
from trainjobs.sweeps.driver import SweepRun
from trainjobs.sweeps.record import SweepDirectory
from trainjobs.sweeps.space import checked


def test_a_trial_on_two_nodes_survives_a_rank_and_a_node_as_one_on_a_single_node_does(tmp_path):
    cases = {"killed": 1, "memberless": 2, "good": 1}
    manifest = sweep(
        tmp_path, {"case": {"grid": list(cases)}}, parallelTrials=1, template={"checkpoint": {"keep": 1}}
    )
    spec = checked(Manifest.read(manifest, ["spec.template.spec.trainer.numNodes=2"]))
    told = []
    directory = SweepDirectory(tmp_path / "out")
    set_defaults()
    cluster = Cluster()
    try:
        with lean():
            for _ in range(2):
                cluster.add_node(num_cpus=1, include_dashboard=False)
        nodes = RayCluster(cluster.address, 2, "127.0.0.1", lost=str)
        with directory.hold():
            directory.write_sweep(spec)
            SweepRun(spec, directory, tmp_path, told.append, nodes).run()
    finally:
        ray.shutdown()
        cluster.shutdown()
    found = {trial["parameters"]["case"]: trial for trial in trials(directory.path).values()}
    assert {trial["state"] for trial in found.values()} == {"Finished"}, found
    events = {case: directory.run(trial["trial"]).events() for case, trial in found.items()}
    for case, slots in cases.items():
        begun = [event for event in events[case] if isinstance(event, Starting)]
        assert [(each.workers, each.nodes) for each in begun] == [(2, 2)] * slots
        resumed = [event.resumed_from_step for event in events[case] if isinstance(event, Started)]
        assert resumed == ([None] if case == "good" else [None, 4])
    lost = f"trial {found['memberless']['trial']}: its slot's process has died; it goes on in a new one"
    assert [event.message for event in told if event.trial is None] == [lost]
