"""Gradient disparity: the workers' gradients have not come closer to each other for a number of reports.

Forouzesh and Thiran, "Disparity Between Batches as a Signal for Early Stopping", ECML PKDD 2021. The run measures it
(`trainjobs.runtime.models.gradient_statistics`); that it no longer falls is a plateau.
"""

from trainjobs.stopping.plateau import Plateau


class GradientDisparity(Plateau):
    """Stops after `patience` reports without a new lowest disparity."""
