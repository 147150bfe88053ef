"""The driver: starts the workers of a run, listens to them, retries, and owns the outcome.

Never trains itself and prints nothing. Read `driver.py` first; `launcher.py` says what it needs of whoever starts
workers, `local_launcher.py`, `ray_launcher.py` and `inline_launcher.py` do that, `retry.py` is the rule for what
follows a failure.
"""
