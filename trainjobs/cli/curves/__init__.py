"""Recorded curves: what people's tools have logged becomes histories of reports.

`found` looks for curves below what a command names; `table`, `trainer_state` and `event_files` each read one format
into rows; `reports` makes reports of rows. Adding a format: a module that yields `Row`s, and a line in `found`.
"""
