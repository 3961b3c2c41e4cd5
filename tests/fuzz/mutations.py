"""Ways to spoil a good input: bytes, plain values, and mappings at a random place."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = os.environ.get("LOSSBENCH_FUZZ")
FUZZ = settings(
    deadline=None,
    max_examples=int(EXAMPLES or 25),
    derandomize=not EXAMPLES,
    suppress_health_check=list(HealthCheck),
)
"""A few examples a test, the same in every run; or as many as ``LOSSBENCH_FUZZ`` says, others each
time."""
FEW = settings(FUZZ, max_examples=int(EXAMPLES or 3))
"""For what takes a second an example."""

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(),
    st.floats(),
    st.sampled_from([10**30, 10**400, 1e308, "", "1e3", ".nan", "a\nb", "../x", "\x00", "é", "5"]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
"""What a YAML or JSON file may hold anywhere."""


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes with a few cut out, changed, doubled or put in, or cut short."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        kind: Callable[[bytes], bytes] = draw(st.sampled_from(DAMAGES))
        content = content[:start] + kind(content[start:end]) + content[end:]
        if draw(st.integers(0, 9)) == 0:
            content = content[:start]
    return content


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda piece: b"",
    lambda piece: piece + piece,
    lambda piece: bytes(byte ^ 0x10 for byte in piece),
    lambda piece: b"\xff" * len(piece),
    lambda piece: b"\0",
    lambda piece: b"-1",
    lambda piece: b"9" * 400,
    lambda piece: b"nan",
    lambda piece: b"\n",
    lambda piece: piece[::-1],
]


@st.composite
def spoiled(draw: st.DrawFn, content: Any) -> Any:
    """A copy of nested lists and mappings with one place removed, renamed or of another value."""
    if draw(st.integers(0, 7)) == 0 or not isinstance(content, list | dict) or not content:
        return draw(VALUES)
    if isinstance(content, list):
        place = draw(st.integers(0, len(content) - 1))
        before, after = content[:place], content[place + 1 :]
        action = draw(st.sampled_from(["change", "change", "change", "remove", "double"]))
        middle = {"remove": [], "double": [content[place]] * 2}.get(action)
        return [*before, *([draw(spoiled(content[place]))] if middle is None else middle), *after]
    key = draw(st.sampled_from(list(content)))
    action = draw(st.sampled_from(["change", "change", "change", "remove", "rename", "add"]))
    rest = {name: value for name, value in content.items() if name != key}
    if action == "remove":
        return rest
    if action == "rename":
        return {**rest, draw(st.text(max_size=6)): content[key]}
    if action == "add":
        return {**content, draw(st.text(max_size=6)): draw(VALUES)}
    return {**content, key: draw(spoiled(content[key]))}
