"""Why a TrainJob is as it is, in one word each: what conditions, failures and metrics call it."""

from typing import Final

NO_PROGRESS: Final = "NoProgress"
"""No step and no report for `progressDeadlineSeconds`."""
