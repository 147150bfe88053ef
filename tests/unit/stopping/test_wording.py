import math

import pytest

from trainjobs.stopping.wording import number, reports


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.412, "0.412"),
        (1.0, "1"),
        (1e-5, "1e-05"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (12345678, "12345678"),
    ],
)
def test_a_number_has_six_digits_and_a_whole_one_all(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 reports"), (1, "1 report"), (5, "5 reports")])
def test_one_report_is_singular(count, text):
    assert reports(count) == text
