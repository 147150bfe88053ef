"""Runs of the real driver and real workers on the local launcher."""

import pytest
from forked import ForkedWorkers
from trials import Trial


@pytest.fixture(scope="session")
def new_trial():
    return lambda directory: Trial(directory, ForkedWorkers())


@pytest.fixture
def trial(new_trial, tmp_path):
    return new_trial(tmp_path)
