"""Runs and sweeps on this machine, from a manifest to the result: what the command line and scripts both call.

Read `api.py` first: `trainjobs.run` and `trainjobs.sweep`. `running.py` and `sweeping.py` are below them and below the
commands; `beginning.py` says what may begin in a directory, and `run_report.py` what became of it.
Nothing here knows a terminal or ends its process.
"""
