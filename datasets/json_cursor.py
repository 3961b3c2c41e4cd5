"""Going through a JSON text value by value, with the place of each, holding none of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

BYTE_ORDER_MARK = "\ufeff"
_SPACE = re.compile(r"[ \t\n\r]*")
_PARSE = json.JSONDecoder().raw_decode


class JsonCursor:
    """A place in a JSON text, to go through it without holding all of it as objects."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._at = 1 if text.startswith(BYTE_ORDER_MARK) else 0

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        space = _SPACE.match(self.text, self._at)
        self._at = space.end() if space else self._at
        return self.text[self._at : self._at + 1]

    def take(self, allowed: str) -> str:
        """Step over the next character, which must be one of those allowed."""
        character = self.peek()
        if not character or character not in allowed:
            wanted = " or ".join(f"'{each}'" for each in allowed)
            raise json.JSONDecodeError(f"Expecting {wanted}", self.text, self._at)
        self._at += 1
        return character

    def value(self) -> tuple[Any, int, int]:
        """Parse the next value; it, and where it begins and ends."""
        self.peek()
        begin = self._at
        try:
            parsed, self._at = _PARSE(self.text, begin)
        except RecursionError:
            raise json.JSONDecodeError("Nested too deeply", self.text, begin) from None
        return parsed, begin, self._at

    def members(self) -> Iterator[str]:
        """Keys of the object that is next; whoever asks takes each value before the next key."""
        self.take("{")
        closed = self.peek() == "}"
        if closed:
            self.take("}")
        while not closed:
            if self.peek() != '"':
                raise json.JSONDecodeError("Expecting a key", self.text, self._at)
            key, _, _ = self.value()
            self.take(":")
            yield key
            closed = self.take(",}") == "}"
        if self.peek():
            raise json.JSONDecodeError("Extra data", self.text, self._at)

    def elements(self) -> Iterator[tuple[Any, int, int]]:
        """Values of the array that is next, each with where it begins and ends."""
        self.take("[")
        closed = self.peek() == "]"
        if closed:
            self.take("]")
        while not closed:
            yield self.value()
            closed = self.take(",]") == "]"
