"""What every page has around its sections: head, contents, toolbar, style and script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

ASSETS = Path(__file__).parent / "assets"


def render_shell(
    name: str,
    description: str,
    sections: Sequence[tuple[str, str, Markup]],
    losses: Mapping[str, Mapping[str, Markup]],
) -> str:
    """A page as text: one file that asks the network for nothing.

    Args:
        name, description: of what the page is about; escaped.
        sections: id, title and content of each.
        losses: task -> label -> how the filter shows the loss; without any there is no filter.
    """
    script = (ASSETS / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        loader=FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        name=name,
        description=description,
        sections=sections,
        losses=losses,
        style=Markup((ASSETS / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )
