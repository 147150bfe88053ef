"""`trainjobs init`: a manifest and a training function to begin with."""

from trainjobs.cli.project.init import init

__all__ = ["init"]
