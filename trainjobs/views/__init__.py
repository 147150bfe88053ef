"""How a run is told while it goes on: views of its events as lines of text or JSON.

Knows no terminal: what a pod prints needs neither Rich nor Typer. Read `lines.py` first, which has the sentence of each
event. `page` draws what is looked at afterwards, in a browser.
"""
