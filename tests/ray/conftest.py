"""One Ray for all tests here."""

import pytest
from trials import Trial

from trainjobs.runtime.ray_workers import RayWorkers


@pytest.fixture(scope="session")
def ray_workers():
    with RayWorkers(4) as workers:
        yield workers


@pytest.fixture
def trial(ray_workers, tmp_path):
    return Trial(tmp_path, RayWorkers(4))
