"""The operator: makes and keeps what a TrainJob needs in a Kubernetes cluster.

Never trains, never judges a metric, never writes a pod: Kubernetes' own Job controller does that. Knows the
types of `trainjobs.spec` and nothing else of the library; `transport.py` alone touches the Kubernetes client.

Read `desired.py` first: what should be there is a function of values. The core below it moves values and knows
nothing of training: `reflector.py` fills a `cache.py`, `work_queue.py` says what to look at, `lease.py` who
looks, `client.py` reads and writes.
"""
