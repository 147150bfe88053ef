import subprocess
import sys

import trainjobs.stopping


def test_importing_the_criteria_imports_nothing_heavy():
    heavy = "torch ray numpy kubernetes rich typer"
    code = f"import sys, trainjobs.stopping; print([m for m in {heavy.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there():
    assert [name for name in trainjobs.stopping.__all__ if not hasattr(trainjobs.stopping, name)] == []
