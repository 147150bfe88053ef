"""The objects that the operator makes for a TrainJob: its Job, the pods' template, and what they need around them."""
