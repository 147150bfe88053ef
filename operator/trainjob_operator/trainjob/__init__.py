"""The kind TrainJob: what should be there for one, as values, and the pass that makes it so.

Read `plan.py` first: what should be there is a function of values; then `reconcile.py`, which looks and acts.
"""
