"""Sums of bytes tell any write, of any type of number, and never that nothing was written where it is not known."""

import pytest
import torch

from trainjobs.runtime.checkpoint.sums import are_same, sums, sums_if_any

KINDS = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
KINDS += [torch.complex64, torch.complex128]


def ones(kind=torch.float32):
    return torch.ones(3, 4, dtype=kind)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_one_value_written_is_told(kind):
    tensor = ones(kind)
    before = sums([tensor])
    assert are_same(before, sums([tensor]))
    tensor[1, 2] = 0
    assert not are_same(before, sums([tensor]))


def test_nan_is_the_same_as_itself_and_minus_zero_is_not_zero():
    nan = torch.full((2,), float("nan"))
    assert are_same(sums([nan]), sums([nan.clone()]))
    assert not are_same(sums([torch.tensor([0.0])]), sums([torch.tensor([-0.0])]))


@pytest.mark.parametrize(
    "tensor",
    [ones().t(), ones()[:, ::2], torch.tensor(1.0), torch.ones(0), torch.nn.Parameter(torch.ones(2))],
    ids=["transposed", "strided", "scalar", "empty", "parameter"],
)
def test_a_tensor_lies_as_it_likes(tensor):
    (found,) = sums([tensor])
    assert are_same([found], sums([tensor.detach().clone()]))


def test_what_is_not_dense_has_no_sum():
    assert len(sums([ones().to_sparse(), ones()])) == 1


def test_a_device_that_has_failed_has_no_sums():
    class Failed:
        layout, is_quantized = torch.strided, False

        def detach(self):
            raise RuntimeError("device-side assert triggered")

    assert sums_if_any([Failed()]) is None
    assert are_same(sums_if_any([ones()]), sums([ones()]))


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ([1, 2], [1, 2], True),
        ([1, 2], [1, 3], False),
        ([1, 2], [1], False),
        ([], [], True),
        (None, [1], False),
        ([1], None, False),
        (None, None, False),
    ],
)
def test_sums_are_the_same_only_where_both_are_known_and_all_agree(before, now, same):
    before, now = (None if side is None else list(map(torch.tensor, side)) for side in (before, now))
    assert are_same(before, now) is same
