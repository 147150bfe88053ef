"""What a pass is to do, as values."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainjobs.kube.resources import Object


@dataclass(frozen=True, slots=True)
class Plan:
    """What a pass is to do."""

    create: tuple[Object, ...] = ()
    """Objects to make, in this order; those that are there already and are ours are brought up to date."""
    keep: tuple[Object, ...] = ()
    """Objects that have to stand: those that somebody has deleted or edited are made again."""
    patch_job: Object | None = None
    """What to change in the Job's spec."""
    delete_job: bool = False
    delete_trainjob: bool = False
    status: Object = field(default_factory=dict)
    """Fields of the status that differ from what is written; empty: none."""
    requeue_after_s: float | None = None
    """When to look again even if nothing happens. None: no need."""
    wants_pods: bool = False
    """More can be said with the Job's pods."""
    expected_pods: int = 0
    """So many should run by now: what keeps them, if they do not say it themselves, is in Events. 0: not asked."""
