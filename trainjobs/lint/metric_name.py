"""What the name of a metric says about it: on which data it is measured, and which direction is better.

Guesses from common names, for advice only; nothing is decided by them.
"""

import re
from typing import Final

from trainjobs.api.monitoring import Mode

_TRAINING: Final = {"train", "training", "trn"}
_VALIDATION: Final = {"val", "valid", "validation", "dev", "eval", "evaluation", "heldout", "holdout"}
_TEST: Final = {"test", "testing"}
_FALLING: Final = {"loss", "error", "err", "perplexity", "ppl", "rmse", "mse", "mae", "wer", "cer", "nll"}
_RISING: Final = {
    *("accuracy", "acc", "auc", "auroc", "f1", "precision", "recall", "score", "bleu", "rouge"),
    *("dice", "iou", "miou", "r2", "reward", "ndcg", "mrr", "top1", "top5"),
}


def is_on_training(name: str) -> bool:
    """`train_loss`, `trainingAccuracy`, or `loss` with no word for other data."""
    words = _words(name)
    return bool(words & _TRAINING) or (bool(words & _FALLING) and not words & (_VALIDATION | _TEST))


def is_on_test(name: str) -> bool:
    """`test_loss`, `accuracy/test`."""
    return bool(_words(name) & _TEST)


def usual_mode(name: str) -> Mode | None:
    """min for `val_loss`, max for `val_accuracy`; None for a name that says nothing, or both."""
    words = _words(name)
    falling, rising = bool(words & _FALLING), bool(words & _RISING)
    if falling == rising:
        return None
    return Mode.MIN if falling else Mode.MAX


def _words(name: str) -> set[str]:
    """The words of `val_loss`, `val/loss`, `valLoss`, in lower case."""
    return {word.casefold() for word in re.findall(r"[A-Z]+(?![a-z])[0-9]*|[A-Z]?[a-z]+[0-9]*", name)}
