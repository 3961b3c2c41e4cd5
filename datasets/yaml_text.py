"""YAML of files that nobody vouches for: plain values only, and none that explode."""

from __future__ import annotations

from typing import Any

import yaml

from datasets.yaml_loader import PlainLoader

_PARSER: Any = getattr(yaml, "CLoader", yaml.SafeLoader)

MAX_DEPTH = 100
"""Lists and mappings inside one another. libyaml's loader has no limit of its own and takes the
whole process down where the stack ends."""
MAX_VALUES = 1_000_000
"""Values of a text with every alias written out; a few lines of aliases can mean billions."""


def parse_yaml(text: str) -> Any:
    """The value that a YAML text stands for: mappings, lists, texts, numbers, no objects.

    Args:
        text: one document; libyaml's rules, which are those of YAML 1.1.

    Raises:
        yaml.YAMLError: the text is no YAML, is nested more than :data:`MAX_DEPTH` deep, stands
            for more than :data:`MAX_VALUES` values, has a key twice in one mapping, or holds a
            number that there is not. The message names the line, where there is one.
    """
    try:
        if not _is_simple(text):
            _check(text)
        return yaml.load(text, PlainLoader)
    except yaml.MarkedYAMLError as error:
        raise yaml.YAMLError(_with_line(error)) from None
    except (ValueError, OverflowError) as error:
        raise yaml.YAMLError(
            f"a value is not what it looks like or is tagged as ({error})"
        ) from None
    except (LookupError, AttributeError) as error:  # how PyYAML meets `!!bool x` and its like
        raise yaml.YAMLError(f"a tag does not go with its value ({error!r})") from None


def _with_line(error: yaml.MarkedYAMLError) -> str:
    """``line 3, column 7: found undefined alias``."""
    mark = error.problem_mark
    place = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return place + (error.problem or str(error))


def _is_simple(text: str) -> bool:
    """Whether a text can be neither deep nor an explosion, told by its characters alone.

    The configurations of a large experiment's runs are thousands of files, all of them simple.
    """
    openings = sum(map(text.count, "[{-?"))
    return "*" not in text and openings < MAX_DEPTH // 2 and " " * (MAX_DEPTH // 2) not in text


def _check(text: str) -> None:
    """Count depth and values event by event, before anything is built of them."""
    counter = _Counter()
    for event in yaml.parse(text, _PARSER):
        counter.take(event)


class _Counter:
    """How deep a text is at present, and how many values it stands for so far."""

    def __init__(self) -> None:
        self.values = 0
        self.sizes: dict[str, int] = {}
        self.open: list[tuple[str | None, int]] = []

    def take(self, event: yaml.Event) -> None:
        """Count what one event adds."""
        if isinstance(event, yaml.CollectionStartEvent):
            self.open.append((event.anchor, self.values))
            self._need(len(self.open) <= MAX_DEPTH, f"is nested more than {MAX_DEPTH} deep", event)
        elif isinstance(event, yaml.AliasEvent):
            inside = any(event.anchor == anchor for anchor, _ in self.open)
            self._need(not inside, f"'*{event.anchor}' stands inside what it stands for", event)
            self.values += self.sizes.get(event.anchor or "", 0)
        elif isinstance(event, yaml.ScalarEvent):
            self.values += 1
            self._name(event.anchor, 1)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self.open.pop()
            self.values += 1
            self._name(anchor, self.values - before)
        few = self.values <= MAX_VALUES
        self._need(few, f"its aliases stand for more than {MAX_VALUES:,} values", event)

    def _name(self, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self.sizes[anchor] = size

    @staticmethod
    def _need(fulfilled: bool, otherwise: str, event: yaml.Event) -> None:
        if not fulfilled:
            mark = event.start_mark
            line = "" if mark is None else f" (line {mark.line + 1})"
            raise yaml.YAMLError(otherwise + line)
