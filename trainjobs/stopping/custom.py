"""Custom: a class of the user's own judges.

The class is called with `parameters` as keyword arguments. Its objects have three methods, and are a pure fold:

    start() -> state                     before the first observation
    update(state, observation) -> state  after one more; states are values, and are not changed
    judge(state) -> Verdict              of trainjobs.stopping; stop and a reason will do

It is imported where the run's code is: in workers, and in `trainjobs replay` from the directory of the criteria.
"""

import sys
import traceback
from functools import cached_property
from importlib import import_module
from typing import Any

from trainjobs.api import stopping as api
from trainjobs.exits import UserCodeError
from trainjobs.stopping.earliest import Earliest, Needs, Pace, after_reports
from trainjobs.stopping.fold import Scope
from trainjobs.stopping.observation import Observation
from trainjobs.stopping.verdict import Verdict


class Custom:
    """Judges by an object of the user's class; whatever that raises is one UserCodeError that says where.

    Where the user's code is not to be imported, it has no opinion.
    """

    def __init__(self, parameters: api.Custom, scope: Scope) -> None:
        self._parameters = parameters
        self._code = scope.code
        self._path = scope.path

    def start(self) -> Any:
        return None if self._code is None else self._called("start")

    def update(self, state: Any, seen: Observation) -> Any:
        return None if self._code is None else self._called("update", state, seen)

    def judge(self, state: Any) -> Verdict:
        name = self._parameters.class_
        if self._code is None:
            return Verdict(False, f"{name} judges only where the run's code is", undecided=True)
        verdict = self._called("judge", state)
        if not isinstance(verdict, Verdict):
            raise UserCodeError(
                f"{self._path}: {name}: judge must return a trainjobs.stopping.Verdict; got {verdict!r}"
            )
        return verdict

    def stops(self, state: Any) -> bool:
        return self.judge(state).stop

    def earliest(self, first: int, pace: Pace, *, stop: bool = True) -> Earliest:
        return after_reports(Needs(1), first, pace, self._parameters, self._path)

    @cached_property
    def _own(self) -> Any:
        module, _, name = self._parameters.class_.partition(":")
        kept, sys.path[:] = sys.path[:], [str(self._code), *sys.path]
        try:
            return getattr(import_module(module), name)(**self._parameters.parameters)
        finally:
            sys.path[:] = kept

    def _called(self, method: str, *arguments: Any) -> Any:
        try:
            return getattr(self._own, method)(*arguments)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            raise UserCodeError(
                f"{self._path}: {self._parameters.class_}: {method} failed: {type(error).__name__}: {error} "
                f"({frame.filename}, line {frame.lineno})"
            ) from error
