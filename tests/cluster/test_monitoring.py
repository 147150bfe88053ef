"""What Prometheus makes of the operator's alerts: `promtool` plays them by the minute."""

import shutil
import subprocess
from pathlib import Path

from installed import CHART
from testbed.fixtures import require

ALERTS = CHART / "files" / "alerts.yaml"


def test_alerts_fire_when_they_should_and_are_silent_otherwise(tmp_path: Path):
    require("prometheus")
    for file in (ALERTS, Path(__file__).with_name("alerts.test.yaml")):
        shutil.copy(file, tmp_path)
    command = ["promtool", "test", "rules", "alerts.test.yaml"]
    played = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stdout + played.stderr
