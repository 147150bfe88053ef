"""Early stopping by our criteria in programs that another framework drives: one module for each.

    from trainjobs.adapters.lightning import EarlyStopping
    from trainjobs.adapters.huggingface import EarlyStoppingCallback
    from trainjobs.adapters.ignite import EarlyStopping
    from trainjobs.adapters.keras import EarlyStopping
    from trainjobs.adapters.accelerate import EarlyStopping
    from trainjobs.adapters.ray import EarlyStopping

The framework trains, and its checkpoints are its own; here a report is reduced over the ranks and judged, all ranks
stop at one step, and a run directory keeps why. Read `judged_run.py` first, then `kept_run.py`; `arguments.py` says
what a framework's arguments mean. Never starts a process, and never touches a model but to restore its best weights.
"""
