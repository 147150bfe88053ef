"""Sweeps: many runs of one template, driven by Ray Tune on one machine or over pods. The only code that knows
`ray.tune`.

Read `driver.py` first. `space.py` says what a trial trains, `slot.py` runs it by the driver of a single run, so that a
trial is a run directory, `scheduling.py` stops it, `searching.py` proposes the next one, and `record.py` keeps what
happened. `scheduling.PruningScheduler` and `scheduling.CriteriaStopper` work with anybody's trainable.
"""
