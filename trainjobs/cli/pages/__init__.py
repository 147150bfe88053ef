"""What `trainjobs report` puts on a page: of one run, of several, of a sweep. `parts.py` has what they share.

Nothing is computed here that a command prints, too: the words and sums of `explain` are taken as they are.
"""
