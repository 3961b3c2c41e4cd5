from __future__ import annotations

import re
import warnings

import pandas as pd
import pytest

import losses
from benchmark.curves import PICTURES, lineup, register
from benchmark.curves.write import plan, write_pictures
from benchmark.options import UserError

FEW = {
    "box": {name: losses.BOX[name] for name in ("giou", "l1")},
    "mask": {name: losses.MASK[name] for name in ("bce", "dice")},
}


@pytest.fixture(autouse=True)
def _few_losses(monkeypatch):
    """Pictures that show each loss show four here, to save time."""
    monkeypatch.setattr(lineup, "REGISTERS", FEW)


def write(folder, names=(), specs=(), kind=None):
    pictures, own = plan(names, [str(spec) for spec in specs], kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return list(write_pictures(pictures, own, folder))


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_is_drawn_with_a_users_loss(tmp_path, box_file, mask_file, name):
    spec = {"box": f"{box_file}:corners", "mask": f"{mask_file}:Squares"}[PICTURES[name].kind]
    label = f"mine {PICTURES[name].kind}"
    png, page = write(tmp_path, [name], [f"{{name: '{spec}', label: {label}}}"])
    assert png.stat().st_size > 10_000
    svg = png.with_suffix(".svg").read_text(encoding="utf-8")
    assert label in re.sub(r"\s+", " ", svg)
    data = pd.read_csv(png.with_suffix(".csv"))
    assert label in data.columns or label in set(data["loss"])
    text = page.read_text(encoding="utf-8")
    assert f"]({name}.png)" in text
    assert PICTURES[name].caption in " ".join(text.split())


def test_every_caption_says_something_in_a_few_sentences():
    for picture in PICTURES.values():
        assert 2 <= len(re.findall(r"[.!](?:\s|$)", picture.caption)) <= 6, picture.name
        assert picture.title


def test_a_second_drawing_is_the_same_to_the_byte(tmp_path):
    names = ["box_placements", "probability_each"]
    write(tmp_path / "a", names)
    write(tmp_path / "b", names)
    for first in (tmp_path / "a").iterdir():
        assert first.read_bytes() == (tmp_path / "b" / first.name).read_bytes()


def test_drawing_one_picture_again_keeps_the_others_on_the_page(tmp_path):
    write(tmp_path, ["box_placements", "pixel_weighted"])
    *_, page = write(tmp_path, ["pixel_weighted"])
    text = page.read_text()
    assert text.index("box_placements.png") < text.index("pixel_weighted.png")


@pytest.mark.parametrize(
    ("specs", "kind", "kinds"),
    [
        ([], None, {"box", "mask"}),
        ([], "box", {"box"}),
        (["dice"], None, {"mask"}),
        (["dice", "ciou"], None, {"box", "mask"}),
    ],
)
def test_without_names_the_kind_or_the_losses_decide(specs, kind, kinds):
    pictures, own = plan([], specs, kind)
    assert {picture.kind for picture in pictures} == kinds
    assert [named.label for named in own] == specs


def test_a_loss_that_could_be_of_either_kind_is_of_the_pictures(mask_file):
    _, (named,) = plan(["pixel_focal"], [f"{mask_file}:Squares"], None)
    assert named.kind == "mask"


@pytest.mark.parametrize(
    ("names", "specs", "kind", "part"),
    [
        (["pixel_fokal"], [], None, "did you mean 'pixel_focal'"),
        (["pixel_focal"], [], "box", "'pixel_focal' shows mask losses, not box"),
        (["box_arrows"], ["dice"], None, "is a mask loss, not a box loss"),
        ([], ["cioo"], None, "did you mean 'ciou'"),
        ([], ["dice"], "box", "is a mask loss, not a box loss"),
        ([], ["ciou", "ciou"], None, "two losses are labelled 'ciou'"),
        ([], ["nowhere.py:Loss"], None, "nowhere.py"),
    ],
)
def test_a_users_mistake_is_one_message(tmp_path, names, specs, kind, part):
    with pytest.raises(UserError, match=re.escape(part)):
        write(tmp_path, names, specs, kind)


def test_two_pictures_cannot_share_a_name():
    with pytest.raises(ValueError, match="two pictures are registered as 'box_arrows'"):
        register("box_arrows", "box", "again", "again")(lambda own: None)


def test_the_command_draws_a_users_file_and_says_where(cli, tmp_path, box_file):
    done = cli("curves", "box_placements", "--loss", f"{box_file.name}:corners", "--out", "here")
    assert done.returncode == 0, done.stderr
    assert "here/box_placements.png" in done.stdout
    files = {path.name for path in (tmp_path / "here").iterdir()}
    assert files == {"README.md", *(f"box_placements.{end}" for end in ("png", "svg", "csv"))}
    wrong = cli("curves", "box_placement")
    assert wrong.returncode == 2
    assert "did you mean 'box_placements'" in " ".join(wrong.stderr.split())
    assert "Traceback" not in wrong.stderr
