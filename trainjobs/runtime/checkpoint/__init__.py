"""Checkpoints: the state of a run as files that a later process resumes from.

Never decides when to save. Read `store.py` first; `tracked.py` and `snapshot.py` say what a state is made of,
`readback.py` refuses what could not be read again.
"""
