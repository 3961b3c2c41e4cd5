"""Section: the conclusions in sentences."""

from __future__ import annotations

from markupsafe import Markup

from benchmark.report.headline import Headline
from benchmark.report.page.context import PageContext, section
from benchmark.report.page.html import paragraph


@section("headline", title="In short", order=10)
def build(page: PageContext) -> Markup | None:
    """A block for each headline, with a link to the table that it speaks of."""
    if not page.headlines:
        return paragraph("There are no runs yet.")
    anchors = {panel.key: page.anchor(panel) for panel in page.panels}
    return Markup("\n").join(_block(headline, anchors) for headline in page.headlines)


def _block(headline: Headline, anchors: dict[tuple[str, str, str], str]) -> Markup:
    key = (headline.task, headline.dataset, headline.model)
    about = ", ".join(key)
    link = Markup('<a href="#{}">{}</a>').format(anchors[key], about) if key in anchors else about
    rest = headline.text.removeprefix(headline.lead).strip()
    return Markup('<div class="headline {}"><p class="about">{}</p><p>{}</p>{}</div>').format(
        headline.kind.replace(" ", "-"),
        link,
        headline.lead,
        paragraph(rest, "note") if rest else "",
    )
