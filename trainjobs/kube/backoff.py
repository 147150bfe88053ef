"""How long to wait after a failure, and after the next one."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from failure to failure; jitter keeps many waiters from coming back together."""

    first_s: float
    """Seconds after the first failure, at most."""
    longest_s: float
    """Seconds after many failures, at most."""
    random: Callable[[], float] = random.random
    """A number from 0 to 1."""

    def after(self, failures: int, asked_s: float | None = None) -> float:
        """Seconds to wait after so many failures in a row (1 or more): between half of the full delay and all,
        and not less than a server has asked for."""
        full = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 62))
        return max(full * (0.5 + 0.5 * self.random()), asked_s or 0.0)
