"""The machinery of an operator, for any kind: watch, cache, queue, passes, leader election, health.

Knows no kind of object: what should be there is for others to say. `controller.py` is the loop of one kind:
`reflector.py` fills a `cache.py`, and `work_queue.py` says what to look at. `manager.py` runs controllers while
`leader_election.py` lets it.
"""
