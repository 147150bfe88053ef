"""The demo, run once for all tests here."""

import pytest
from processes import follow, start

from trainjobs.exits import Exit


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The run directory of the demo, and the events it told."""
    run_dir = tmp_path_factory.mktemp("undisturbed") / "mnist"
    told, code, errors = follow(start(run_dir))
    assert (code, errors) == (Exit.DONE, "")
    return run_dir, told
