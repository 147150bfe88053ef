"""What is kept of a run, wherever it runs: its events, the state they add up to, its directory and storage.

Never trains and starts no process. Imports neither torch nor Ray nor a terminal, so that what a run did can be read
anywhere. Read `events.py` first, then `codec.py`, `run_state.py` and `directory.py`; `channel.py` is the wire on which
events travel from the ranks, and `requests.py` to them.
"""
