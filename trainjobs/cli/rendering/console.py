"""Rich's console, which prints no character that is not its own and could do something to a terminal."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from trainjobs.views.printable import printable


class Printing(Console):
    """Writes such characters out, wherever in a text or a table they stand."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))
