"""A page as a browser reads it: its elements, their attributes, its text, and what it would fetch."""

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class ReadPage(HTMLParser):
    """What `read_page` has found."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def tags(self) -> list[str]:
        return [name for name, _ in self.elements]

    def all(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of every element of that name."""
        return [attributes for tag, attributes in self.elements if tag == name]

    def attribute(self, name: str) -> list[str]:
        """Its value wherever it stands."""
        return [str(given[name]) for _, given in self.elements if name in given]


def read_page(text: str) -> ReadPage:
    """Read a page."""
    page = ReadPage()
    page.feed(text)
    page.close()
    return page


def data_of(text: str) -> Any:
    """The data that stands in a page for its script."""
    _, _, rest = text.partition('<script type="application/json" id="data">')
    return json.loads(rest.partition("</script>")[0])
