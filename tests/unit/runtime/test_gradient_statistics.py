"""Sums of gradients: against the explicit formulas, where loss scaling and overflows are about."""

import pytest
import torch

from trainjobs.exits import ConfigError
from trainjobs.runtime.models import gradient_statistics
from trainjobs.runtime.models.gradient_statistics import GradientStatistics, Sums

RANKS, STEPS, PARAMETERS = 4, 12, 500


@pytest.fixture
def gradients():
    """(step, rank, parameter): half of the parameters still have something to learn."""
    noise = torch.randn(STEPS, RANKS, PARAMETERS, generator=torch.Generator().manual_seed(1))
    return noise + torch.tensor([0.0, 1.5]).repeat(PARAMETERS // 2)


def summed(gradients, scales=None, batches=1):
    """Each rank's sums."""
    found = [Sums.like(gradients[0, 0]) for _ in range(gradients.shape[1])]
    for step, scale in zip(gradients, scales or [1.0] * len(gradients), strict=True):
        for rank, sums in enumerate(found):
            for batch in range(1, batches):
                part = step * batch / batches * scale
                sums.hold(part[rank] / batch)
                sums.compare(part.mean(0) / batch, scale, completes=False)
            done = step.mean(0) * (batches - 1) / batches
            own = done + step[rank] / batches
            sums.hold(own * scale)
            sums.compare(step.mean(0) * scale, scale, completes=True)
    return found


def disparity(found):
    return sum(sums.disparity(RANKS) for sums in found) / RANKS


def ratio(found):
    return sum(float(sums.ratios(RANKS).mean()) for sums in found) / RANKS


@pytest.mark.parametrize("batches", [1, 3])
def test_the_disparity_is_the_mean_squared_distance_of_all_pairs(gradients, batches):
    pairs = [(i, j) for i in range(RANKS) for j in range(i)]
    far = [(gradients[:, i] - gradients[:, j]).square().sum(1).mean() for i, j in pairs]
    assert disparity(summed(gradients, batches=batches)) == pytest.approx(
        float(torch.stack(far).mean()), rel=1e-4
    )


def test_where_there_is_noise_alone_the_ratio_is_1_and_with_a_signal_more():
    noise = torch.randn(200, RANKS, PARAMETERS, generator=torch.Generator().manual_seed(2))
    assert ratio(summed(noise)) == pytest.approx(1, abs=0.02)
    assert ratio(summed(noise + 0.2)) == pytest.approx(1 + 0.2**2 * RANKS, abs=0.03)


def test_a_changing_loss_scale_changes_nothing(gradients):
    scales = [2.0 ** (16 - step % 5) for step in range(STEPS)]
    assert disparity(summed(gradients, scales)) == pytest.approx(disparity(summed(gradients)), rel=1e-4)
    assert ratio(summed(gradients, scales)) == pytest.approx(ratio(summed(gradients)), rel=1e-4)


def test_of_a_large_model_evenly_spaced_parameters_tell_about_the_same(gradients, monkeypatch):
    whole = disparity(summed(gradients)), ratio(summed(gradients))
    monkeypatch.setattr(gradient_statistics, "MOST", PARAMETERS // 3)
    found = summed(gradients[:, :, torch.randperm(PARAMETERS, generator=torch.Generator().manual_seed(3))])
    assert len(found[0].squares) < PARAMETERS / 2
    assert (disparity(found), ratio(found)) == pytest.approx(whole, rel=0.1)


def test_a_step_that_overflows_is_none(gradients):
    spoilt = gradients.clone()
    spoilt[3, 1, 7] = torch.inf
    found = summed(spoilt, [1024.0] * STEPS)
    assert {sums.steps for sums in found} == {STEPS - 1}
    without = torch.cat([gradients[:3], gradients[4:]])
    assert disparity(found) == pytest.approx(disparity(summed(without)), rel=1e-4)


def test_a_parameter_without_a_gradient_has_no_ratio(gradients):
    gradients[:, :, 0] = 0
    assert [len(sums.ratios(RANKS)) for sums in summed(gradients)] == [PARAMETERS - 1] * RANKS


def test_where_no_step_was_looked_at_the_last_figures_stand_also_after_a_resume():
    figures = {"gradient_evidence": (0.5, 1.0)}
    statistics, resumed = (GradientStatistics(figures, RANKS) for _ in range(2))
    statistics.restore(figures)
    assert statistics.drain() == figures
    resumed.restore(statistics.figures())
    assert resumed.drain() == figures


def test_one_rank_has_nothing_to_compare_and_needs_not_unless_a_criterion_asks():
    assert GradientStatistics({"val_loss"}, 1).drain() == {}
    with pytest.raises(ConfigError, match="gradient_evidence: compares gradients of workers"):
        GradientStatistics({"gradient_evidence"}, 1)
