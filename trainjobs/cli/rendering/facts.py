"""A list of facts with their names on the left: what a run came to, what a replay found."""

from collections.abc import Iterable

from rich.padding import Padding
from rich.table import Table


def facts_list(facts: Iterable[tuple[str, str]]) -> Padding:
    """One row for each (name, fact), indented; facts are folded, names are not."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in facts:
        table.add_row(name, fact)
    return Padding(table, (0, 0, 0, 2))
