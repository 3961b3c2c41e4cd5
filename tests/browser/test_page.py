"""The report in a real browser: what only a browser can tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

CHECKS = (Path(__file__).parent / "checks.js").read_text(encoding="utf-8")
PHONE = {"width": 390, "height": 844}
HOSTILE = '"><script>window.__x = 2</script>'

Visit = Callable[..., Page]
Keep = Callable[[Page, str], None]


def faults(page: Page, check: str) -> list[str]:
    """What one of the checks of ``checks.js`` finds wrong, with everything unfolded."""
    page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    return page.evaluate(CHECKS, check)


def luminance(page: Page, style: str) -> float:
    """Of a colour of the body, 0 (black) to 1."""
    colour = page.evaluate("(style) => getComputedStyle(document.body)[style]", style)
    red, green, blue = map(float, re.findall(r"[\d.]+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def comparison(page: Page) -> Locator:
    return page.locator("#comparison table").first


def values(table: Locator, column: int) -> list[str]:
    """What the rows of a table are sorted by in a column, from the top."""
    script = "(cells) => cells.map((cell) => cell.dataset.sort ?? cell.textContent.trim())"
    return table.locator(f"tbody tr > :nth-child({column + 1})").evaluate_all(script)


def heads(table: Locator) -> list[str]:
    return [text.strip() for text in table.locator("thead th").all_text_contents()]


def test_a_hundred_runs_fit_into_five_megabytes(hundred: Path) -> None:
    assert 50_000 < hundred.stat().st_size < 5_000_000


def test_page_shows_itself_light_by_default(visit: Visit, hundred: Path, keep: Keep) -> None:
    page = visit(hundred)
    expect(page.locator("h1")).to_have_text("invented")
    assert luminance(page, "backgroundColor") > 0.9
    assert luminance(page, "color") < 0.2
    keep(page, "light")


def test_page_is_accessible(visit: Visit, hundred: Path) -> None:
    page = visit(hundred)
    checks = ("headings", "images", "tables", "names", "structure", "keyboard", "contrast")
    found = {check: faults(page, check) for check in checks}
    assert found == {check: [] for check in checks}


def test_headings_name_every_entry_of_the_contents(visit: Visit, few: Path) -> None:
    page = visit(few)
    entries = page.locator("nav a").all_text_contents()
    assert entries == page.locator("main h2").all_text_contents()
    assert len(entries) >= 8


def test_names_are_text(visit: Visit, few: Path) -> None:
    page = visit(few)
    expect(page.locator(".description")).to_have_text(
        '</p><script>window.__x = 4</script> & "quotes"'
    )
    labels = page.locator(".filter").first.locator("label").all_text_contents()
    assert HOSTILE in [label.strip() for label in labels]
    assert page.locator("script").count() == 1
    assert page.locator("img[src=x]").count() == 0
    assert page.locator("[onload], [onerror], [onmouseover]").count() == 0
    expect(page.locator("#failures")).to_contain_text('<b onmouseover="window.__x = 5">bold</b>')


def test_hovering_a_mark_shows_its_numbers(visit: Visit, few: Path) -> None:
    page = visit(few)
    mark = page.locator("#differences svg [data-tip]").first
    tip = page.locator("#tip")
    expect(tip).to_be_hidden()
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    expect(tip).to_be_visible()
    expect(tip).to_have_text(mark.get_attribute("data-tip") or "")
    box = tip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()


def test_marks_are_reached_by_the_keyboard(visit: Visit, few: Path) -> None:
    page = visit(few)
    chart = page.locator("#differences svg.chart").first
    chart.focus()
    page.keyboard.press("ArrowRight")
    tip = page.locator("#tip")
    expect(tip).to_be_visible()
    first = tip.text_content()
    page.keyboard.press("ArrowRight")
    assert tip.text_content() != first
    assert page.evaluate("() => document.activeElement.dataset.tip") == tip.text_content()


def test_table_cells_explain_themselves_on_focus(visit: Visit, few: Path) -> None:
    page = visit(few)
    explained = comparison(page).locator("[data-tip][tabindex='0'], th[data-tip] button").first
    explained.focus()
    owner = explained.locator("xpath=ancestor-or-self::*[@data-tip][1]")
    expect(page.locator("#tip")).to_have_text(owner.get_attribute("data-tip") or "")


def test_tables_sort_numbers_in_both_directions(visit: Visit, few: Path) -> None:
    page = visit(few)
    table = comparison(page)
    column = next(i for i, head in enumerate(heads(table)) if "seconds" in head)
    button = table.locator("thead th").nth(column).locator("button")
    head = table.locator("thead th").nth(column)
    unsorted = values(table, column)
    for direction, reverse in [("descending", True), ("ascending", False)]:
        button.click()
        expect(head).to_have_attribute("aria-sort", direction)
        numbers = [float(value) for value in values(table, column) if value]
        assert numbers == sorted(numbers, reverse=reverse)
    assert sorted(values(table, column)) == sorted(unsorted)
    assert table.locator("thead th[aria-sort]").count() == 1


def test_tables_sort_text_by_the_keyboard(visit: Visit, few: Path) -> None:
    page = visit(few)
    table = comparison(page)
    table.locator("thead th").first.locator("button").focus()
    page.keyboard.press("Enter")
    expect(table.locator("thead th").first).to_have_attribute("aria-sort", "ascending")
    script = "(texts) => texts.every((t, i) => i === 0 || texts[i - 1].localeCompare(t) <= 0)"
    assert page.evaluate(script, values(table, 0))
    assert len(values(table, 0)) == 5


def test_a_loss_that_is_unticked_disappears(visit: Visit, few: Path) -> None:
    page = visit(few)
    own = page.locator("[data-task=detection] [data-loss]")
    # Of what lies in a chart, checkVisibility() does not see that it is not displayed.
    script = """(marks, loss) =>
        marks.filter((m) => m.dataset.loss === loss && m.getClientRects().length).length"""
    count = own.evaluate_all(script, HOSTILE)
    others = own.evaluate_all(script, "giou")
    elsewhere = page.locator("[data-task=segmentation] [data-loss]")
    there = elsewhere.evaluate_all(script, HOSTILE)
    assert min(count, others, there) > 5
    boxes = page.locator(".filter[data-task=detection] input[type=checkbox]")
    boxes.nth(1).uncheck()
    assert own.evaluate_all(script, HOSTILE) == 0
    assert own.evaluate_all(script, "giou") == others
    assert elsewhere.evaluate_all(script, HOSTILE) == there
    expect(page.locator("#said")).to_contain_text("4 of 5 losses")
    assert comparison(page).locator("tbody tr:visible").count() == 4
    page.locator(".filter[data-task=detection] .none").click()
    assert own.evaluate_all("(marks) => marks.filter((m) => m.getClientRects().length).length") == 0
    page.locator(".filter[data-task=detection] .all").click()
    assert own.evaluate_all(script, HOSTILE) == count


def test_dark_mode_follows_the_system(visit: Visit, hundred: Path, keep: Keep) -> None:
    page = visit(hundred, color_scheme="dark")
    assert luminance(page, "backgroundColor") < 0.1
    assert luminance(page, "color") > 0.7
    expect(page.locator("#theme")).to_have_text("Light mode")
    assert faults(page, "contrast") == []
    keep(page, "dark")


def test_dark_mode_can_be_chosen_and_stays(visit: Visit, few: Path) -> None:
    page = visit(few)
    colour = "(mark) => getComputedStyle(mark).color"
    mark = page.locator("svg.chart .c1").first
    light = mark.evaluate(colour)
    page.locator("#theme").click()
    assert luminance(page, "backgroundColor") < 0.1
    assert mark.evaluate(colour) != light
    page.reload()
    assert luminance(page, "backgroundColor") < 0.1
    page.locator("#theme").click()
    assert luminance(page, "backgroundColor") > 0.9


def test_page_fits_a_phone(visit: Visit, hundred: Path, keep: Keep) -> None:
    page = visit(hundred, viewport=PHONE, has_touch=True, is_mobile=True)
    checks = ("sideways", "small_text")
    found = {check: faults(page, check) for check in checks}
    assert found == {check: [] for check in checks}
    keep(page, "phone")


def test_page_fits_a_window_of_any_width(visit: Visit, few: Path) -> None:
    page = visit(few)
    for width in (320, 600, 900, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert faults(page, "sideways") == [], width


def test_print_shows_everything_but_the_controls(visit: Visit, few: Path, keep: Keep) -> None:
    page = visit(few, color_scheme="dark")
    folded = page.locator("details:not([open])")
    assert folded.count() > 0
    page.emulate_media(media="print")
    expect(folded).to_have_count(0)
    for control in (".toolbar", "nav", "#theme", "button.copy"):
        assert page.locator(control).locator("visible=true").count() == 0
    assert luminance(page, "backgroundColor") > 0.9
    assert luminance(page, "color") < 0.2
    keep(page, "print")
    page.emulate_media(media="screen")
    expect(folded).not_to_have_count(0)


def test_commands_are_copied(visit: Visit, few: Path) -> None:
    page = visit(few, permissions=["clipboard-read", "clipboard-write"])
    page.evaluate("() => document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    block = page.locator("#reproduce .copyable").first
    block.locator("button.copy").click()
    expect(block.locator("button.copy")).to_have_text("Copied")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied == block.locator("code").text_content()
    assert "run.py" in copied


def test_commands_are_selected_where_the_clipboard_is_out_of_reach(visit: Visit, few: Path) -> None:
    page = visit(few)
    page.evaluate(
        """() => {
            document.querySelectorAll('details').forEach((d) => { d.open = true; });
            navigator.clipboard.writeText = () => Promise.reject(new Error('refused'));
            document.execCommand = () => false;
        }"""
    )
    block = page.locator("#reproduce .copyable").first
    block.locator("button.copy").click()
    expect(block.locator("button.copy")).to_have_text("Selected")
    selected = page.evaluate("() => getSelection().toString()")
    assert selected == block.locator("code").text_content()


def test_page_is_complete_without_scripts(visit: Visit, few: Path) -> None:
    page = visit(few, java_script_enabled=False)
    expect(page.locator("nav a")).to_have_count(page.locator("main h2").count())
    table = comparison(page)
    column = next(i for i, head in enumerate(heads(table)) if "AP (%)" in head)
    finished = [float(value) for value in values(table, column)][:-1]
    assert finished == sorted(finished, reverse=True)
    assert page.locator("svg.chart:visible").count() > 10
    for control in (".toolbar", "button.copy"):
        assert page.locator(control).locator("visible=true").count() == 0
    folded = page.locator("details").first
    folded.locator("summary").first.click()
    expect(folded).to_have_attribute("open", "")
