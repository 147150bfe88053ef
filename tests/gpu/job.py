"""The training function of these tests: mixed precision with a scaler, random draws on the device, one algorithm."""

import json
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

BATCHES = 30


def train(run):
    """Says where it runs, then trains; `config.strict` has every wait of the host for the device raise."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS has one order of adding up only with it
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)
    strict = run.config.get("strict", False)
    batches = [torch.randn(64, 1, 28, 28, device=run.device) for _ in range(BATCHES)]
    layers = [nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2)]
    model = run.prepare_model(nn.Sequential(*layers, nn.Linear(8 * 26 * 26, 10)))
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    scaler = run.prepare_scaler(init_scale=1024.0, growth_interval=5)
    run.track(model=model, optimizer=optimizer)
    print(json.dumps(surroundings(run)))
    for _ in run.epochs():
        for x in run.steps(batches):
            with torch.autocast(
                run.device.type, torch.float16 if run.device.type == "cuda" else torch.bfloat16
            ):
                loss = model(x).float().square().mean()
            optimizer.zero_grad()
            if strict:  # a scaler waits to see whether there are infinities
                loss.backward()
                optimizer.step()
            else:
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
            run.log(loss=loss.detach())
            if strict and run.device.type == "cuda":  # from the first step on: what is set up before may wait
                torch.cuda.set_sync_debug_mode("error")
            time.sleep(0.02)  # so that there is a time to disturb it
        if run.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
        run.report(scale=scaler.get_scale())


def surroundings(run):
    """Of this rank, as plain values."""
    cuda = run.device.type == "cuda"
    return {
        "rank": run.rank,
        "pid": os.getpid(),
        "device": str(run.device),
        "current": torch.cuda.current_device() if cuda else None,
        "backend": dist.get_backend(),
        "forked from CUDA": torch.cuda._is_in_bad_fork(),
        "node": Path("/proc/sys/kernel/hostname").read_text().strip(),
    }
