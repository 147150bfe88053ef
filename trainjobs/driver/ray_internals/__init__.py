"""All that we ask of Ray beyond its documented interface, as of Ray 2.60: what a node starts (`node.py`), what a
worker group of Ray Train starts (`train.py`), and what a driver hears of it (`connection.py`).

Each hook leaves out what a training run never asks: a process, an import, a line of Ray's own. A test names every hook,
so that a new Ray says which of them has gone.
"""
