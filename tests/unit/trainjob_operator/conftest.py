"""The API server as a script, and a clock that tests move."""

from scripted_api import api_error, clock, item, script

__all__ = ["api_error", "clock", "item", "script"]
