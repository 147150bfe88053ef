"""What Ray must go on offering for its agents' ports to be named; a new Ray that does not fails here first."""

from pathlib import Path

from ray._private import services
from ray._private.parameter import RayParams

from trainjobs.driver.ray_ports import FLAG, PORTS, named_ports


def test_rays_parameters_take_every_port_that_we_name():
    assert set(PORTS) <= set(vars(RayParams()))


def test_a_ray_that_is_started_is_told_its_ports_and_the_raylet_the_one_that_is_forgotten(monkeypatch):
    started = []
    monkeypatch.setattr(
        services, "start_ray_process", lambda command, process_type, **_: started.append(command)
    )
    with named_ports():
        named = RayParams(metrics_export_port=None)
        services.start_ray_process(["raylet"], "raylet", fate_share=True)
        services.start_ray_process(["gcs"], "gcs_server", fate_share=True)
    ports = [getattr(named, name) for name in PORTS]
    assert len(set(ports)) == len(PORTS)
    assert started == [["raylet", f"{FLAG}={named.dashboard_agent_listen_port}"], ["gcs"]]


def test_the_raylet_knows_the_flag_and_ray_calls_it_raylet():
    assert FLAG.removeprefix("--").encode() in Path(services.RAYLET_EXECUTABLE).read_bytes()
    assert services.ray_constants.PROCESS_TYPE_RAYLET == "raylet"


def test_afterwards_ray_is_as_it_was():
    before = RayParams.__init__, services.start_ray_process
    with named_ports():
        pass
    assert (RayParams.__init__, services.start_ray_process) == before
