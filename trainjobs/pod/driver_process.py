"""The driver's process in pod 0, whatever it drives: whose it is, what happens to that meanwhile, and how it ends.

Exit codes are those of the command line, with one more: when `backoffLimit` is used up, the Job must not add attempts
of its own.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from trainjobs.api.manifest import SpecError
from trainjobs.api.reasons import Reason
from trainjobs.exits import Exit, UserError
from trainjobs.kube.client import KubeClient
from trainjobs.kube.own_trainjob import NotOurs, OwnTrainJob
from trainjobs.kube.resources import Key, Object, Resource
from trainjobs.kube.transport import connect
from trainjobs.pod import termination
from trainjobs.pod.identity import PodIdentity

Drive = Callable[[PodIdentity, OwnTrainJob, bool], int]
"""Drives to the end and returns this pod's exit code; the last argument: the driver before ended without a word."""


def run(resource: Resource, drive: Drive) -> NoReturn:
    """Drive the object of this kind that this pod belongs to, say how it ended, and end this process."""
    code = _driven(resource, drive)
    sys.stdout.flush()
    os._exit(code)  # threads that wait for the API server or for the agent have nothing more to do


def _driven(resource: Resource, drive: Drive) -> int:
    logging.basicConfig(
        level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(name)s: %(message)s"
    )
    identity = PodIdentity.of_env(os.environ)
    try:
        client = KubeClient(connect(None), manager="trainjobs-pod")
        own = OwnTrainJob(client, Key(identity.namespace, identity.name), identity.uid, resource=resource)
        return drive(identity, own, "--crashed" in sys.argv[1:])
    except (SpecError, UserError) as error:
        code = error.exit_code if isinstance(error, UserError) else Exit.CONFIG
        return _failed(Reason.USER_ERROR, error, code)
    except NotOurs as error:
        return _failed(Reason.NOT_OURS, error, Exit.NO_PERMISSION)


def _failed(reason: Reason, error: Exception, code: Exit) -> Exit:
    termination.write(reason, str(error))
    logging.error("%s", error)
    return code


def given_up(failed: int, limit: int, what: str) -> Exit:
    """Say that no attempt is left; the exit code for it."""
    termination.write(
        Reason.BACKOFF_LIMIT_EXCEEDED, f"the driver died; {failed} {what} failed (backoffLimit {limit})"
    )
    return Exit.GAVE_UP


def follow(own: OwnTrainJob, seen: Callable[[Object], object]) -> None:
    """Call `seen` with the object now and after each change, in a thread. A suspension reaches the pods as SIGTERM."""

    def watch() -> None:
        try:
            own.follow(seen)
        except NotOurs as error:
            logging.warning("%s; this pod will be told to end", error)

    threading.Thread(target=watch, name="own object", daemon=True).start()
