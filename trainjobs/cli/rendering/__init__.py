"""How things look on a terminal, in a pipe and as JSON. The only package that knows Rich.

Never decides what is told: that is read from a run. Read `terminal.py` first, then `display.py`, the live display.
"""
