"""What is light stays light: no package loads what its user did not ask for."""

import subprocess
import sys

HEAVY = ("torch", "ray", "kubernetes", "numpy", "pyarrow", "requests", "google.auth")


LIGHT = [
    "trainjobs",
    "trainjobs.api",
    "trainjobs.stopping",
    "trainjobs.lint",
    "trainjobs.coordination",
    "trainjobs.runtime",
    "trainjobs.recorded",
    "trainjobs.local.api",
    "trainjobs.cli",
    "trainjobs.cli.run",
    "trainjobs.cli.explain",
    "trainjobs.cli.replay",
    "trainjobs.cli.validate",
    "trainjobs.kube.transport",
    "trainjob_operator.__main__",
]


def test_a_bare_interpreter_loads_none_of_the_heavy_ones():
    """One after the other in one interpreter: the first that did would be named."""
    code = "import sys\n" + "".join(
        f"import {module}; print({module!r}, [name for name in {HEAVY} if name in sys.modules])\n"
        for module in LIGHT
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{module} []" for module in LIGHT]


def test_the_operator_loads_no_types_that_it_does_not_read():
    code = "import sys, trainjob_operator.__main__; print('trainjobs.api.sweep' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
