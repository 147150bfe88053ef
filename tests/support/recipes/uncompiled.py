"""The digits where torch looks as if nobody had compiled it."""

import torch
from digits import train

__all__ = ["train"]
torch.__spec__.cached = "/nowhere/__init__.pyc"
