"""Data loaders: sharded over the ranks, resumable in the middle of an epoch, the same number of batches on each rank.

Never looks into a sample. Read `loaders.py` first, then `lockstep.py`.
"""
