"""Writes to weights and moments are noticed, however they were made; what may change without a step is none."""

import pytest
import torch

from trainjobs.runtime.checkpoint.tracked import Tracked
from trainjobs.runtime.checkpoint.write_detector import WriteDetector


@pytest.fixture
def trained():
    """A model, its optimizer with moments, and what detects writes to them, marked at an epoch's beginning."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    step(model, optimizer)
    tracked = Tracked(None)
    tracked.add({"model": model, "optimizer": optimizer})
    writes = WriteDetector(tracked)
    writes.mark_epoch()
    return model, optimizer, writes


def step(model, optimizer):
    model(torch.randn(8, 3)).square().sum().backward()
    optimizer.step()


def seen(writes):
    return writes.versions_unchanged, writes.weights_unchanged, writes.epoch_unchanged


def test_nothing_written_is_nothing_seen(trained):
    assert seen(trained[2]) == (True, True, True)


def test_a_step_is_seen_by_all(trained):
    model, optimizer, writes = trained
    step(model, optimizer)
    assert seen(writes) == (False, False, False)


def test_a_write_that_torch_does_not_count_is_seen_by_the_sums(trained):
    model, _, writes = trained
    model[0].weight.data.add_(1.0)
    assert seen(writes) == (True, False, False)


def test_statistics_of_a_forward_pass_are_written_too(trained):
    model, _, writes = trained
    model(torch.randn(8, 3))
    assert seen(writes) == (False, False, False)


def test_a_buffer_of_inference_mode_or_of_no_checkpoint_is_no_trouble(trained):
    model, _, writes = trained
    model.eval()
    with torch.inference_mode():
        model[0].register_buffer("cache", model(torch.randn(8, 3)), persistent=False)
    assert seen(writes) == (True, True, True)
    with torch.inference_mode():
        model[0].register_buffer("kept", torch.ones(3))
    writes.mark()
    assert seen(writes) == (True, True, False)


def test_a_schedule_is_no_write(trained):
    _, optimizer, writes = trained
    optimizer.param_groups[0]["lr"] = 0.01
    assert seen(writes) == (True, True, True)


def test_a_mark_forgets_what_was_written_to_weights_and_the_epoch_does_not(trained):
    model, optimizer, writes = trained
    step(model, optimizer)
    writes.mark()
    assert seen(writes) == (True, True, False)
