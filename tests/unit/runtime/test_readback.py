"""What is let through can be read back, and what is refused could not be: nothing is found out at a resume."""

import collections
import enum
import io
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainjobs.exits import DataError
from trainjobs.runtime.checkpoint import readback


class Odd:
    """A type of the user."""

    def __init__(self, inside=1):
        self.inside = inside


class Unpicklable:
    """Says so in its own way."""

    def __reduce__(self):
        raise ZeroDivisionError("not this one")


class Colour(enum.Enum):
    RED = 1


class Own(torch.Tensor):
    """A tensor of a type of its own."""


Pair = collections.namedtuple("Pair", "a b")


def with_attribute():
    tensor = torch.ones(2)
    tensor.note = Odd()
    return tensor


def cycle(*members):
    """A list that holds itself."""
    found = []
    found += [found, *members]
    return found


READABLE = [
    None,
    True,
    7,
    2**100,
    float("nan"),
    1 + 2j,
    "text",
    "\ud800",
    b"bytes",
    bytearray(b"a"),
    (1, (2,)),
    {1, 2},
    collections.OrderedDict(a=1),
    collections.Counter("aab"),
    torch.float32,
    torch.device("cpu"),
    torch.Size([1, 2]),
    torch.strided,
    torch.ones(3),
    torch.nn.Parameter(torch.ones(2)),
    torch.ones(2).to_sparse(),
    torch.ones(2, 2).t(),
    torch.ones(2, requires_grad=True) * 2,
    torch.complex(torch.ones(2), torch.ones(2)).conj(),
    torch.ones(2, device="meta"),
    torch.ones(4).untyped_storage(),
    {torch.ones(1): torch.ones(2)},
    cycle(),
]
UNREADABLE = [
    b"",
    2**3000,
    frozenset({1}),
    slice(1),
    range(3),
    ...,
    np.float64(1.5),
    np.int64(3),
    np.bool_(True),
    np.str_("a"),
    np.ones(3),
    np.dtype("float32"),
    Odd,
    Odd(),
    Unpicklable(),
    Colour.RED,
    Pair(1, 2),
    collections.defaultdict(int),
    collections.deque([1]),
    len,
    lambda: 1,
    (n for n in "a"),
    torch.Generator(),
    torch.nn.ReLU(),
    with_attribute(),
    cycle(Odd()),
    {np.str_("a"): 1},
    {np.int64(1)},
    collections.OrderedDict(a=Odd()),
]


KEYS = st.sampled_from(["a", "b", 1, np.str_("c"), np.int64(4)])
STATES = st.recursive(
    st.sampled_from([1, "a", None, 1.5, np.float64(2), np.ones(2), Odd(), b"", torch.ones(2), Colour.RED]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


def refusal(state, allowed=()):
    """What `check` says; None if it lets the state through."""
    try:
        readback.check({"tracked object 'it'": state}, allowed)
    except DataError as error:
        return str(error)
    return None


def can_be_read_back(state):
    buffer = io.BytesIO()
    try:
        torch.save(state, buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True)
    except Exception:
        return False
    return True


@pytest.mark.filterwarnings("ignore:.*Sparse.*:UserWarning")
@pytest.mark.parametrize("state", READABLE, ids=lambda state: repr(type(state)))
def test_what_can_be_read_back_is_let_through(state):
    assert can_be_read_back(state)
    assert refusal(state) is None


@pytest.mark.parametrize("state", UNREADABLE, ids=lambda state: repr(type(state)))
def test_what_could_not_be_read_back_is_refused_by_name(state):
    assert not can_be_read_back(state)
    assert "tracked object 'it': state" in refusal(state)


@settings(deadline=None)
@given(STATES)
def test_exactly_what_can_be_read_back_is_let_through(state):
    assert (refusal(state) is None) == can_be_read_back(state)


@pytest.mark.parametrize(
    "dtype", sorted({*torch.storage._dtype_to_storage_type_map(), torch.uint16}, key=str)
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tensors_of_every_type_are_treated_as_torch_does(dtype):
    if "q" not in str(dtype):
        state = torch.empty(3, dtype=dtype)
        assert (refusal(state) is None) == can_be_read_back(state)


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"last": np.float64(1)}, "state['last'] is a numpy.float64, "),
        ({"groups": [{"lr": 1}, {"lr": np.ones(1)}]}, "state['groups'][1]['lr'] is a numpy.ndarray, "),
        (
            {"a": (1, {2: {"deep": Odd()}})},
            "state['a'][1][2]['deep'] is a tests.unit.runtime.test_readback.Odd, ",
        ),
        ({np.int64(4): 1}, "state: its key np.int64(4) is a numpy.int64, "),
        (np.float64(1), "state is a numpy.float64, "),
        ({"hook": len}, "state['hook'] is a builtin_function_or_method, "),
        ([1, cycle(np.ones(1))], "state[1][1] is a numpy.ndarray, "),
    ],
)
def test_the_place_is_named_and_the_remedy(state, place):
    said = refusal(state)
    assert said.startswith(f"tracked object 'it': {place}which could not be read back from a checkpoint (")
    assert "numpy value: .item()" in said.lower()


def test_two_views_of_one_memory_with_different_types_are_refused_as_torch_does():
    numbers = torch.ones(2, dtype=torch.complex64)
    state = {"whole": numbers, "real": torch.view_as_real(numbers)}
    assert not can_be_read_back(state)
    assert re.search("memory is also seen as torch.complex64, here as torch.float32", refusal(state))


def test_a_type_is_allowed_if_it_is_when_a_checkpoint_is_read():
    with torch.serialization.safe_globals([Odd]):
        early = torch.serialization.get_safe_globals()
        assert refusal(Odd(), allowed=early) is None
        assert "numpy" in refusal(Odd(np.float64(1)), allowed=early)
        assert "add_safe_globals at the top of the module" in refusal(Odd())
        assert "state['type'] is a type" in refusal({"type": Odd})
    assert refusal(Odd(), allowed=early) is not None


@pytest.mark.parametrize("inside", [1, np.float64(1)])
def test_a_tensor_of_a_type_of_its_own_is_read_back_to_see(inside):
    with torch.serialization.safe_globals([Own]):
        allowed = torch.serialization.get_safe_globals()
        tensor = torch.ones(3).as_subclass(Own)
        tensor.inside = inside
        assert (
            (refusal(tensor, allowed) is None)
            == can_be_read_back(tensor)
            == (inside == 1 and type(inside) is int)
        )


def test_the_bytes_of_tensors_are_not_read_back(tmp_path):
    size = 2**38  # of a file with nothing in it: to copy it is impossible
    weights = torch.from_file(str(tmp_path / "sparse"), shared=True, size=size, dtype=torch.uint8)
    assert refusal({"weights": weights}) is None
