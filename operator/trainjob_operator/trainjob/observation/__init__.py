"""What is there of a TrainJob, as one value: its object, its Job, its pods, and what is wrong with them.

Never says what should be. Read `observed.py` first.
"""
