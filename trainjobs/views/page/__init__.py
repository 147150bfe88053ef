"""Pages of HTML that stand alone: charts as SVG, and the frame around them. Nothing is fetched, nothing is sent.

Read `markup.py` first: text becomes part of a page only through it, and is escaped there. `document.py` is the frame,
`line_chart.py` and `dot_chart.py` draw. It knows numbers and names, and no run: what is on a page is said by whoever
makes one.
"""
