"""Sentences that name a command's options, in the words of a call from Python."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from trainjobs.api.manifest import SpecError
from trainjobs.exits import Exit, UserError

KEYWORDS: Final = {
    "--resume": "resume=True",
    "--fresh": "fresh=True",
    "--run-dir": "run_dir",
    "--sweep-dir": "sweep_dir",
    "--launcher local": 'launcher="local"',
    "--launcher inline": 'launcher="inline"',
    "--set ": "overrides: ",
}
_OPTION: Final = re.compile("|".join(KEYWORDS))


def with_keywords(sentence: str) -> str:
    """The sentence with a call's keywords in place of the command's options."""
    return _OPTION.sub(lambda option: KEYWORDS[option[0]], sentence)


@contextmanager
def told_with_keywords() -> Iterator[None]:
    """Errors that leave this speak of keywords; what the user's own code has said stays as it is."""
    try:
        yield
    except (UserError, SpecError) as error:
        if getattr(error, "exit_code", None) is not Exit.USER_CODE:
            error.args = (with_keywords(str(error)),)
        raise
