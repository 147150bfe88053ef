"""Checkpoints: the state of a run as files that a later process resumes from.

Never decides when to save. Read `contents.py` and `store.py` first; `tracked.py` and `snapshot.py` say what a state is
made of, `file_format.py` how a file holds it, and `readback.py` refuses what could not be read again.
"""
