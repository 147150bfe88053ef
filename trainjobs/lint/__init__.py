"""What is valid in a manifest and yet probably not meant: advice, never an error.

Stands above the criteria, so that it asks a criterion itself when it could stop a run; it judges no report and reads
no file. `advice` holds the rules, one function each, `sweep_advice` those of a sweep; `metric_name` guesses from names.
"""

from trainjobs.lint.advice import Advice, DataFacts, advise
from trainjobs.lint.sweep_advice import advise_sweep

__all__ = ["Advice", "DataFacts", "advise", "advise_sweep"]
