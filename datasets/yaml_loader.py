"""How YAML becomes values: plain types, no key twice, dates left as text."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: eight times as fast."""
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


class PlainLoader(_SAFE):
    """Refuses a key that stands twice in one mapping, of which PyYAML takes the last in silence.

    Dates are text: nothing here wants one, and a name may look like one.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in _SAFE.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping, once its own keys are known to differ; those that it merges may be old."""
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            known = lines.get((key.tag, key.value))
            if known is not None:
                problem = f"the key '{key.value}' stands in line {known} already"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            lines[key.tag, key.value] = 0 if key.start_mark is None else key.start_mark.line + 1
        return super().construct_mapping(node, deep)
