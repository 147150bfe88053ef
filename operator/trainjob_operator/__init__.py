"""The operator: makes and keeps what a TrainJob needs in a Kubernetes cluster.

Never trains, never judges a metric, never writes a pod: Kubernetes' own Job controller does that. Knows the
types of `trainjobs.api` and the access of `trainjobs.kube`, and nothing else of the library.

Read `trainjob/plan.py` first: what should be there is a function of values. `core/` moves values and knows
nothing of training. `app.py` puts both together; another kind is a package beside `trainjob/` and an entry there.
"""
