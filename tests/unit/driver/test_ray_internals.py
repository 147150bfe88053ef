"""What Ray must go on offering beyond its documented interface; a new Ray that does not fails here first, by name."""

import inspect
import re
import subprocess
import sys
from functools import reduce
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
from ray._private import ray_constants, services
from ray._private.parameter import RayParams
from ray.train.torch import TorchConfig
from ray.train.torch.config import _setup_torch_process_group
from ray.train.v2.torch.torch_trainer import TorchTrainer

from trainjobs.driver.ray_internals.node import AGENT_PORT, RAYLET_OPTIONS, WITHOUT, lean
from trainjobs.driver.ray_internals.train import UNASKED, LeanTorchConfig, LeanTrainer
from trainjobs.driver.ray_launcher import SETTINGS

TRAIN = "ray.train.v2._internal"
HOOKS = [
    ("ray._private.services", "start_api_server", "a node starts without the API server"),
    ("ray._private.services", "start_ray_process(command, process_type)", "the raylet is given options"),
    ("ray._private.worker", "listen_error_messages(worker)", "Ray prints no line of its own"),
    ("ray._private.parameter", "RayParams.update", "a node starts without its monitors"),
    ("ray._private.parameter", "RayParams.update_if_absent", "an agent's port is named"),
    ("ray._common.utils", "get_default_ray_temp_dir", "logs are found"),
    ("ray.train.backend", "Backend.on_start(worker_group, backend_config)", "workers make a process group"),
    ("ray.train.backend", "Backend.on_shutdown(worker_group, backend_config)", "workers leave it"),
    ("ray.train.backend", "Backend.share_cuda_visible_devices", "workers of a node see each other's GPUs"),
    ("ray.train.backend", "BackendConfig.backend_cls", "Ray Train finds our backend"),
    ("ray.train.backend", "BackendConfig.train_func_context", "a worker's GPU is torch's default"),
    ("ray.train._internal.utils", "get_address_and_port", "rank 0 is found"),
    (
        "ray.train.torch.config",
        "_setup_torch_process_group(backend, world_rank, world_size, init_method)",
        "as Ray does it",
    ),
    ("ray.train.torch.config", "_set_torch_distributed_env_vars", "a worker has its RANK"),
    ("ray.train.torch.config", "_shutdown_torch(destroy_process_group)", "workers leave it as Ray does"),
    ("ray.train.torch.config", "TorchConfigContextManager", "a worker's GPU is torch's default"),
    ("ray.train.v2.api.data_parallel_trainer", "DataParallelTrainer._create_default_callbacks", "no helpers"),
    (
        "ray.train.v2.api.data_parallel_trainer",
        "DataParallelTrainer._initialize_and_run_controller",
        "a controller that is no actor",
    ),
    (f"{TRAIN}.execution.controller", "TrainController.worker_group_cls", "our worker group"),
    (f"{TRAIN}.execution.controller", "TrainController.run", "the controller runs"),
    (f"{TRAIN}.execution.controller", "TrainController.get_result", "the controller's result"),
    (
        f"{TRAIN}.execution.worker_group",
        "WorkerGroup._init_train_context_on_workers(workers, sync_actor, train_context_args)",
        "a controller that is no actor",
    ),
    (
        f"{TRAIN}.execution.worker_group",
        "RayTrainWorker.init_train_context(train_run_context, distributed_context, synchronization_actor, "
        "storage_context, worker_callbacks, controller_actor)",
        "a controller that is no actor",
    ),
    (
        f"{TRAIN}.execution.scaling_policy",
        "FixedScalingPolicy.after_controller_start(train_run_context)",
        "nobody is asked",
    ),
    (
        f"{TRAIN}.execution.scaling_policy",
        "FixedScalingPolicy._maybe_send_resource_request",
        "nobody is asked",
    ),
]
"""Module, what is in it (with parameters that it is called with), and what it is for."""


def test_it_is_the_ray_that_was_read():
    assert version("ray").startswith("2.60."), f"Ray {version('ray')}: read ray_internals against it"


@pytest.mark.parametrize(("module", "hook", "purpose"), HOOKS, ids=[hook for _, hook, _ in HOOKS])
def test_a_hook_is_there(module, hook, purpose):
    name, *parameters = re.findall(r"[\w.]+", hook)
    gone = f"Ray {version('ray')} has no {module}.{hook} any more, by which this holds: {purpose}"
    found = reduce(lambda inner, each: getattr(inner, each, None), name.split("."), import_module(module))
    assert found is not None, gone
    assert not parameters or set(parameters) <= set(inspect.signature(found).parameters), gone


@pytest.mark.parametrize("field", [*WITHOUT, AGENT_PORT])
def test_rays_parameters_take_what_we_name(field):
    assert hasattr(RayParams(), field), f"Ray {version('ray')} has no RayParams.{field} any more"


@pytest.mark.parametrize(
    "word",
    [
        *(option.removeprefix("--").partition("=")[0].replace("-", "_") for option in RAYLET_OPTIONS),
        *(name.removeprefix("RAY_") for name in SETTINGS if re.match("RAY_[a-z]", name)),
    ],
)
def test_the_raylet_knows_its_options_and_settings(word):
    known = Path(services.RAYLET_EXECUTABLE).read_bytes()
    assert word.encode() in known, f"the raylet of Ray {version('ray')} has no {word} any more"


def test_a_node_starts_no_process_that_nobody_asks(monkeypatch):
    started = []
    monkeypatch.setattr(
        services, "start_ray_process", lambda command, process_type, **_: started.append(command)
    )
    with lean():
        named = RayParams()
        services.start_ray_process(["raylet"], ray_constants.PROCESS_TYPE_RAYLET, fate_share=True)
        services.start_ray_process(["gcs"], ray_constants.PROCESS_TYPE_GCS_SERVER, fate_share=True)
        assert services.start_api_server(False, raise_on_failure=False) == (None, None)
    assert (named.no_monitor, named.include_log_monitor) == (True, False)
    assert named.runtime_env_agent_port > 0
    assert started == [["raylet", *RAYLET_OPTIONS], ["gcs"]]


def test_a_port_that_is_named_is_kept():
    with lean():
        assert RayParams(runtime_env_agent_port=52367).runtime_env_agent_port == 52367


def test_afterwards_ray_is_as_it_was():
    def hooks():
        return RayParams.__init__, services.start_ray_process, services.start_api_server

    before = hooks()
    with lean():
        pass
    assert hooks() == before


def test_a_trainer_is_rays_without_the_callbacks_that_start_helpers():
    def kinds(trainer):
        return [type(each) for each in trainer._create_default_callbacks()]

    rays = kinds(TorchTrainer(print))
    assert set(UNASKED) < set(rays)
    assert kinds(LeanTrainer(print)) == [kind for kind in rays if kind not in UNASKED]


def test_the_process_group_is_the_one_that_rays_defaults_make():
    theirs, defaults = TorchConfig(), inspect.signature(_setup_torch_process_group).parameters
    assert (theirs.backend, theirs.init_method) == (None, "env")
    assert defaults["timeout_s"].default == theirs.timeout_s
    backend = LeanTorchConfig().backend_cls
    assert backend.share_cuda_visible_devices == theirs.backend_cls.share_cuda_visible_devices


def test_the_driver_imports_no_torch():
    code = "import sys, trainjobs.driver.ray_internals.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ray_is_asked_behind_its_back_in_one_place():
    private = re.compile(r"\bray\.(_|\w[\w.]*\._|train\.v2)")
    packages = [Path(import_module(name).__file__).parent for name in ("trainjobs.driver", "trainjobs.pod")]
    found = [
        path for package in packages for path in package.rglob("*.py") if private.search(path.read_text())
    ]
    assert {path.parent.name for path in found} == {"ray_internals"}
