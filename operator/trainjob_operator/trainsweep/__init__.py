"""The kind TrainSweep: one Job whose first pod runs the sweep, and whose pods are its slots.

Read `view.py`: a TrainSweep is seen as the TrainJob that its Job would be made from, and what `trainjob/` does for a
TrainJob it does for that, too: objects, conditions, deadlines, suspension, stop, events.
"""
