"""A manifest means the same to `trainjobs` and to kubectl, whatever its scalars look like."""

import itertools
import json
import math
import random

from trainjobs.api.manifest.yaml_text import documents

ALPHABET = "0178._eE+-xXoObBnNyYf"
WORDS = (
    *("yes", "Yes", "yEs", "no", "NO", "on", "On", "oN", "off", "OFF", "true", "True", "tRUE", "false"),
    *("null", "Null", "nULL", "~", ".Nan", ".iNF", "=", "<<", "1:30", "190:20:30.15", "2026-11-21"),
    *(
        "2026-11-21T00:00:00Z",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "0o",
        "0x",
        "0b2",
        "09.5",
    ),
)


def test_every_short_scalar_is_what_kubectl_reads(kubectl):
    scalars = [*WORDS, *short(), *longer(5000)]
    head = "apiVersion: any/v1\nkind: Any\nmetadata: {name: any}\nread:"
    text = head + "".join(f"\n- {one}" for one in scalars)
    theirs = json.loads(kubectl("label", "--local", "--filename=-", "a=b", "--output=json", stdin=text))[
        "read"
    ]
    (document,) = documents(text, "any.yaml")
    assert not document.problems
    ours = document.value["read"]
    assert len(scalars) == len(ours) == len(theirs)
    assert [one for one in zip(scalars, ours, theirs, strict=True) if not same(*one[1:])] == []


def short():
    """Every text of one to three characters that may stand in a list."""
    for length in (1, 2, 3):
        for letters in itertools.product(ALPHABET, repeat=length):
            if not set(letters) <= {"-"}:
                yield "".join(letters)


def longer(count):
    drawn = random.Random(0)
    for _ in range(count):
        yield "".join(drawn.choices("0189._e+-xbo", k=drawn.randint(4, 7)))


def same(ours, theirs):
    """JSON knows no difference between 1 and 1.0; a number that it has no room for is refused by us later."""
    numbers = (int, float)
    if type(ours) in numbers and type(theirs) in numbers:
        return ours == theirs
    return ours in (math.inf, -math.inf) or (type(ours) is type(theirs) and ours == theirs)
