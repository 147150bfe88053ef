"""What the name of a metric gives away."""

import pytest

from trainjobs.lint.metric_name import is_on_test, is_on_training, usual_mode


@pytest.mark.parametrize(
    ("name", "training", "test", "mode"),
    [
        ("train_loss", True, False, "min"),
        ("training/accuracy", True, False, "max"),
        ("trainLoss", True, False, "min"),
        ("loss", True, False, "min"),
        ("MSE", True, False, "min"),
        ("val_loss", False, False, "min"),
        ("valLoss", False, False, "min"),
        ("validation-error", False, False, "min"),
        ("eval/loss", False, False, "min"),
        ("val_accuracy", False, False, "max"),
        ("val_f1", False, False, "max"),
        ("valF1", False, False, "max"),
        ("valAUC", False, False, "max"),
        ("top5_val", False, False, "max"),
        ("accuracy", False, False, "max"),
        ("test_loss", False, True, "min"),
        ("train_val_loss_ratio", True, False, "min"),
        ("constraint", False, False, None),
        ("closeness", False, False, None),
        ("latest", False, False, None),
        ("error_score", True, False, None),
        ("", False, False, None),
    ],
)
def test_a_name_tells_data_and_direction(name, training, test, mode):
    assert (is_on_training(name), is_on_test(name), usual_mode(name)) == (training, test, mode)
