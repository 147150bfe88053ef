"""A recorded run, and a driver that plays it, for each test that asks for one."""

from played_run import driver
from recording import recording

__all__ = ["driver", "recording"]
