"""The base of every manifest type, and what several of them share."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, ClassVar, Final, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema

Location: TypeAlias = tuple[str | int, ...]
"""Where a value is in a manifest: field names as written there, and indexes of lists."""


def path_text(at: Location) -> str:
    """A location as written in messages: "spec.stopping.criteria[0].plateau"; keys with dots as `["a.b"]`."""
    text = ""
    for step in at:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.search(r'[.\[\]="\\\x00-\x1f]', step) or not step:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
        else:
            text += f".{step}" if text else step
    return text


class HowMany(Enum):
    """So many of the alternatives are to be given: the fewest and the most."""

    EXACTLY_ONE = (1, 1)
    AT_LEAST_ONE = (1, None)
    AT_MOST_ONE = (0, 1)

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")

    def allows(self, count: int) -> bool:
        """Whether so many may be given."""
        fewest, most = self.value
        return bool(fewest <= count and (most is None or count <= most))


@dataclass(frozen=True, slots=True)
class Choice:
    """Fields of a model that are alternatives: its validator and its rule in the CRD both read this."""

    many: HowMany
    of: tuple[str, ...] = ()
    """Python names of the fields. Empty: all but those of `beside`."""
    beside: tuple[str, ...] = ()

    def fault(self, model: "Model") -> str | None:
        """What is wrong with the number of fields that are given."""
        given = model.given_alternatives()
        if self.many.allows(len(given)):
            return None
        fields = type(model).model_fields
        all_of_them = ", ".join(fields[name].alias or name for name in model.alternatives())
        return (
            f"must name {self.many} of {all_of_them}; got {' and '.join(name for name, _ in given) or 'none'}"
        )


class Model(BaseModel):
    """A part of a manifest: camelCase in YAML, snake_case in Python, frozen, unknown fields refused.

    Numbers and booleans are declared `strict`, or `true` would be 1 and "5" be 5. The model as a whole is
    not, for then lists were no tuples and words no enums.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        strict=False,
    )

    example: ClassVar[str] = ""
    """A small valid one in YAML, shown to a person who wrote something else in its place."""
    choice: ClassVar[Choice | None] = None
    """Which of the fields are alternatives."""

    @classmethod
    @cache
    def alternatives(cls) -> tuple[str, ...]:
        """The Python names of the fields that are alternatives."""
        if cls.choice is None:
            return ()
        return cls.choice.of or tuple(name for name in cls.model_fields if name not in cls.choice.beside)

    def given_alternatives(self) -> list[tuple[str, Any]]:
        """What is given of the alternatives: its name in a manifest, and its value."""
        values = [(name, getattr(self, name)) for name in self.alternatives()]
        fields = type(self).model_fields
        return [(fields[name].alias or name, value) for name, value in values if value is not None]

    @model_validator(mode="after")
    def _chosen(self) -> Self:
        if self.choice is not None and (fault := self.choice.fault(self)):
            raise ValueError(fault)
        return self


@dataclass(frozen=True, slots=True)
class Form:
    """Text that has one form: the pattern goes to the schema, the rule to a person whose text has another."""

    pattern: str
    """Regular expression that the whole text matches; in the syntax that Python and OpenAPI share."""
    rule: str
    """Continues "must be …", with an example."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^({self.pattern})$"}

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.pattern, text, re.ASCII):
            raise ValueError(f"must be {self.rule}")
        return text


REFERENCE: Final = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*"
"""Something in a Python module, as `module:name`."""


def refuse(faults: Iterable[tuple[Location, Any, str]]) -> None:
    """Raise one error for each fault (location, value, rule), if any; for validators of models.

    A location is relative to the validating model, so a rule between two fields points at the one to change.
    """
    details = [
        InitErrorDetails(type=PydanticCustomError("rule", "{rule}", {"rule": rule}), loc=at, input=value)
        for at, value, rule in faults
    ]
    if details:
        raise ValidationError.from_exception_data("manifest", details)
