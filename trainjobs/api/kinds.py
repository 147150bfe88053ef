"""What the API server knows a TrainJob by."""

from typing import Final

API_VERSION: Final = "trainjobs.dev/v1alpha1"
KIND: Final = "TrainJob"
PLURAL: Final = "trainjobs"
