"""What a run tells TensorBoard, MLflow and W&B: one more view of its events, kept by the driver alone.

`trackers.py` tells each tracker of `spec.reportTo` in a thread beside the driver, `tracker.py` says what one is told,
and a module for each does it; `remote_copy.py` is for pods whose storage is no disk. None of them ends or slows a run;
their libraries are imported at the first report.
"""
