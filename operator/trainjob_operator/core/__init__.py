"""The machinery of a controller, for any kind: watch, cache, queue, leader election, health.

Knows no kind of object: what should be there is for others to say. `reflector.py` fills a `cache.py`, `work_queue.py`
says what to look at, `leader_election.py` who looks.
"""
