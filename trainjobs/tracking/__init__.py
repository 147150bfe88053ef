"""What a run tells TensorBoard and others: one more view of its events, kept by the driver alone.

`trackers.py` tells each tracker of `spec.reportTo` in a thread beside the driver, `tracker.py` says what one is told,
and a module for each does it. None of them ends or slows a run; their libraries are imported at the first report.
"""
