"""The kind TrainJob: what is to be done for one, as values, and the pass that does it.

Read `plan.py` first: what is to be done is a function of values; then `reconcile.py`, which looks and acts.
`controller.py` says what is watched.
"""
