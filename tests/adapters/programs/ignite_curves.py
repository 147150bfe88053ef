"""Curves under our EarlyStopping, with Ignite's own beside it."""

import json
import sys
from pathlib import Path

import ignite.distributed as idist
import torch
from adapted import tell
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping as Ignites
from torch.nn.parallel import DistributedDataParallel

from trainjobs.adapters.ignite import EarlyStopping


def run(name, curve, arguments):
    model = DistributedDataParallel(torch.nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    values = iter(curve)

    def update(engine, batch):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()

    def evaluate(engine, batch):
        engine.state.metrics["value"] = next(values)

    trainer, evaluator, stand_in = Engine(update), Engine(evaluate), Engine(update)
    options = {
        "patience": arguments["patience"],
        "score_function": lambda engine: engine.state.metrics["value"],
        "threshold": arguments.get("min_delta", 0.0),
        "cumulative": True,
        "mode": arguments.get("mode", "min"),
    }
    theirs = Ignites(trainer=stand_in, **options)
    stopped_at = []
    stand_in.add_event_handler(Events.TERMINATE, lambda: None)
    stand_in.terminate = lambda *_: stopped_at.append(trainer.state.iteration)
    evaluator.add_event_handler(Events.COMPLETED, theirs)
    evaluator.add_event_handler(
        Events.COMPLETED, EarlyStopping(trainer=trainer, run_dir=f"runs/{name}", **options)
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0]))
    trainer.run([torch.randn(4, 2)], max_epochs=len(curve))
    return {"theirs": stopped_at[0] if stopped_at else len(curve), "ours": trainer.state.iteration}


def main(_):
    cases = json.loads(Path(sys.argv[1]).read_text()).items()
    tell(idist.get_rank(), {name: run(name, *case) for name, case in cases})


with idist.Parallel(backend="gloo") as parallel:
    parallel.run(main)
