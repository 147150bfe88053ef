"""How a command ends: each error carries its code, and each code says whether another attempt is worth it."""

import pytest

from trainjobs import exits
from trainjobs.exits import FINAL, Exit, NoInput, NoPermission, StorageError, UserError, user_error


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (FileNotFoundError(2, "No such file or directory"), NoInput, 66),
        (PermissionError(13, "Permission denied"), NoPermission, 77),
        (OSError(28, "No space left on device"), StorageError, 74),
    ],
)
def test_an_error_of_the_system_becomes_a_sentence_with_its_code(error, kind, code):
    told = user_error(error, "writing runs/mnist")
    assert type(told) is kind
    assert told.exit_code == code
    assert str(told) == f"writing runs/mnist: {error.strerror}"


@pytest.mark.parametrize("code", Exit)
def test_a_code_is_worth_another_attempt_or_is_final_or_is_a_good_end(code):
    assert [code is Exit.DONE, code.retryable, code in FINAL].count(True) == 1


def test_what_is_worth_another_attempt():
    assert {code for code in Exit if code.retryable} == {Exit.FAILURE, Exit.INTERRUPTED, Exit.KILLED}


def test_an_error_without_a_text_of_the_system_says_its_own():
    assert str(user_error(OSError("odd"), "reading x")) == "reading x: odd"


CODES = {
    "UserError": 64,
    "UsageError": 64,
    "DataError": 65,
    "NoInput": 66,
    "UserCodeError": 70,
    "CannotCreate": 73,
    "StorageError": 74,
    "NoPermission": 77,
    "ConfigError": 78,
    "RunFailed": 1,
}


def test_every_error_has_its_code_and_what_a_user_can_mend_is_not_retried():
    kinds = [kind for kind in vars(exits).values() if isinstance(kind, type) and issubclass(kind, UserError)]
    assert {kind.__name__: kind.exit_code for kind in kinds} == CODES
    assert [name for name, code in CODES.items() if Exit(code).retryable] == ["RunFailed"]
