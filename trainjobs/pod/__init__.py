"""What runs in the pods of a TrainJob: `python -m trainjobs.pod` is process 1 of each.

Pod 0 starts Ray's head and the driver, the others join; agents keep in touch over a link of their own
(`agent_link.py`), so that they outlive the processes that they start. Read `head.py` and `node.py` first, then
`driver.py`.
"""
