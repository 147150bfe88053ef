"""What only a GPU can show; `make gpu` runs it on a machine that has some and says what it could not try.

`TRAINJOBS_GPU_TESTS=cpu` rehearses on CPUs: the same runs, so that the tests themselves are known to work; what is
about CUDA alone is left out then.
"""

import pytest
import torch
from devices import COUNT, REHEARSAL


def pytest_configure(config):
    config.addinivalue_line("markers", "cuda: is about CUDA alone")
    config.addinivalue_line("markers", "ranks(count): needs as many devices")


def pytest_collection_modifyitems(config, items):
    if not REHEARSAL and COUNT == 0:
        pytest.exit(
            "torch sees no CUDA device: nothing was checked (TRAINJOBS_GPU_TESTS=cpu rehearses on CPUs)", 1
        )
    if REHEARSAL:
        left_out = [item for item in items if item.get_closest_marker("cuda")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def _enough_devices(request):
    marker = request.node.get_closest_marker("ranks")
    if marker and not REHEARSAL and marker.args[0] > COUNT:
        pytest.skip(f"needs {marker.args[0]} GPUs, and torch sees {COUNT}")


@pytest.fixture(scope="session")
def ranks():
    """As many as there are devices, two at most."""
    return 2 if REHEARSAL else min(2, COUNT)


def pytest_report_header():
    names = [torch.cuda.get_device_name(index) for index in range(COUNT)]
    return f"rehearsal on CPUs, gloo: {REHEARSAL}; GPUs: {', '.join(names) or 'none'}"
