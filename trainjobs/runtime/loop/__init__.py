"""One worker's training loop, for `Run` and `StoppingCoordinator` alike: where it is, when it halts, what it saves.

Never calls the user's code: that calls it. Read `training_loop.py` first, then `training_state.py`.
"""
