"""What criteria cost rank 0 at a report: `python tests/benchmarks/criteria_cost.py`.

Each family alone, with the example of its type, and all of them together, over a run of 10,000 reports: the time to
fold and to judge one more report, over the first thousand and over the last; of the processor, which other programs on
the machine disturb less. The last line is one JSON object.
"""

import argparse
import json
import math
import random
import statistics
import time

import yaml

from trainjobs.api import Length
from trainjobs.api.stopping import Single, Stopping
from trainjobs.stopping import Observation, Panel

REPORTS = 10_000
SPAN = 1000
"""Reports whose median is taken."""
OTHERS = {"weighted": {"others": [{"metric": "val_accuracy", "mode": "max"}]}}
"""What an example needs more."""


def examples():
    """Each family's criterion, as a shadow so that none ends the run; custom ones cost what their class costs."""
    for name in Single.alternatives():
        field = Single.model_fields[name]
        if field.alias != "custom":
            yield (
                field.alias,
                {
                    field.alias: yaml.safe_load(field.annotation.__args__[0].example)
                    | OTHERS.get(field.alias, {}),
                    "shadow": True,
                },
            )


def history(reports):
    numbers = random.Random(0)
    for i in range(1, reports + 1):
        loss = 1 / math.sqrt(i) + 0.01 * numbers.random()
        metrics = {
            "val_loss": loss,
            "train_loss": 1 / i,
            "val_accuracy": 1 - loss / 2,
            "learning_rate": 0.1 / i,
            "gradient_evidence": -1 / i,
            "gradient_disparity": loss,
        }
        yield Observation(i, 10 * i, float(i), metrics)


def microseconds(criteria, reports):
    """The median of one report: over the first span of the run, and over the last."""
    stopping = [criteria[i : i + 16] for i in range(0, len(criteria), 16)]
    panels = [
        Panel.of(Stopping.model_validate({"monitor": "val_loss", "criteria": part}), Length.of(reports, None))
        for part in stopping
    ]
    states, took = [panel.fold(()) for panel in panels], []
    for seen in history(reports):
        begun = time.process_time()
        states = [panel.fold((seen,), state) for panel, state in zip(panels, states, strict=True)]
        for panel, state in zip(panels, states, strict=True):
            panel.judge(state)
        took.append(1e6 * (time.process_time() - begun))
    return statistics.median(took[:SPAN]), statistics.median(took[-SPAN:])


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="2,000 reports")
    reports = 2 * SPAN if arguments.parse_args().quick else REPORTS
    several = dict(examples())
    results = {name: microseconds([criterion], reports) for name, criterion in several.items()}
    results["all"] = microseconds(list(several.values()), reports)
    print(f"{'':24}{'first':>10}{'last':>10}  microseconds a report, of {reports:,}")
    for name, (first, last) in results.items():
        print(f"{name:24}{first:10.0f}{last:10.0f}")
    print(json.dumps({"reports": reports, "microseconds": results}))


if __name__ == "__main__":
    main()
