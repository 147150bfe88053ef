"""Distributed training jobs that know when to stop."""
