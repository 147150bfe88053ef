"""A recorded run, for each test that asks for one."""

from recording import recording

__all__ = ["recording"]
