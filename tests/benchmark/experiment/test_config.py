"""The experiment file: what is accepted, what is refused, and what the refusal says."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from benchmark.experiment.cell import CellConfig
from benchmark.experiment.config import Experiment, load_experiment, shipped_experiments
from benchmark.experiment.entries import LossEntry, Losses, NamedLoss
from benchmark.experiment.overrides import apply_override
from benchmark.experiment.train_settings import Train
from benchmark.options import UserError
from datasets.classes import CONTROL
from datasets.yaml_text import parse_yaml

TEXT = """
name: small
repetitions: 2
train: {epochs: 3, image_size: 64}
matrix:
  boxes:
    task: detection
    losses: [giou, {name: ciou, weight: 2}]
    datasets: [shapes]
    models: [tiny_fcos]
    train: {epochs: 5, lr: 0.01}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


def load(file: Path, *overrides: str) -> Experiment:
    return load_experiment(str(file), list(overrides))


def message(file: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load(file, *overrides)
    return str(caught.value)


def test_a_block_adds_to_the_experiments_train_settings(file):
    experiment = load(file)
    train = experiment.block_train("boxes")
    assert (train.epochs, train.lr, train.image_size) == (5, 0.01, [64, 64])
    assert train.batch_size == Train().batch_size


def test_overrides_reach_lists_and_parse_yaml(file):
    experiment = load(file, "matrix.boxes.losses.1.weight=5.5", "repetitions=7", "description=a=b")
    assert experiment.matrix["boxes"].losses[1].weight == 5.5
    assert experiment.repetitions == 7
    assert experiment.description == "a=b"


def test_an_override_of_train_holds_for_blocks_that_say_otherwise(file):
    assert load(file, "train.epochs=1").block_train("boxes").epochs == 1
    assert load(file, "matrix.boxes.train.epochs=9").block_train("boxes").epochs == 9


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("train.epoch=3", ["train.epoch: unknown key (did you mean 'epochs'?)", "batch_size"]),
        ("train.epochs=0", ["train.epochs", "greater than 0", "got 0"]),
        ("train.epochs=many", ["train.epochs", "whole number", "'many'"]),
        ("train.image_size=31", ["train.image_size", "at least 32", "got 31"]),
        ("train.image_size=[64]", ["train.image_size", "[height, width]"]),
        ("train.optimizer=adamv", ["train.optimizer", "(did you mean 'adamw'?)", "sgd"]),
        ("train.optimizer=[adamw]", ["train.optimizer", "one of adamw, sgd"]),
        ("train.schedule=cosine", ["train.schedule", "one_cycle, step, constant"]),
        ("train.augment.hflop=1", ["train.augment: hflop: unknown key", "'hflip'"]),
        ("train.augment.hflip=2", ["train.augment", "hflip", "0..1"]),
        ("train.augment=3", ["train.augment", "mapping"]),
        ("train.lr=.inf", ["train.lr", "finite"]),
        ("name=reference", ["'reference'", "taken"]),
        ("train.lr=-1", ["train.lr", "greater than 0", "got -1"]),
        (
            "matrix.boxes.task=tracking",
            ["matrix.boxes.task", "'detection', 'segmentation' or 'instance'"],
        ),
        ("matrix.boxes.losses=[]", ["matrix.boxes.losses", "must not be empty"]),
        ("matrix.boxes.losses.1.weight=0", ["losses.1.weight", "greater than 0"]),
        ("matrix.boxes.losses.9.weight=1", ["list of 2", "'9' must be a number from 0 to 1"]),
        ("matrix.boxes.loses=[a]", ["matrix.boxes.loses: unknown key (did you mean 'losses'?)"]),
        ("matrix.boxes.train.epoch=1", ["matrix.boxes.train.epoch: unknown key"]),
        ("name=a/b", ["name", "letters, digits", "'a/b'"]),
        ("name.x=1", ["name is the value 'small' and has no keys"]),
        ("matrix=", ["matrix", "got None"]),
        ("train.epochs", ["must read key.path=value"]),
        ("train.epochs=[1", ["the value is not YAML"]),
        ("repetitions=0", ["repetitions", "greater than 0"]),
    ],
)
def test_a_wrong_value_gets_one_error_with_path_value_and_what_is_allowed(file, override, parts):
    text = message(file, override)
    for part in parts:
        assert part in text


def test_turning_by_90_degrees_needs_square_images(file):
    turned = "train.augment.rotate90=true"
    assert "rotate90 needs square" in message(file, turned, "train.image_size=[64, 96]")
    assert load(file, turned).train.augment["rotate90"] is True


def test_a_block_changes_single_options_of_the_augmentation(file):
    words = ["train.augment.vflip=0.25", "matrix.boxes.train.augment.hflip=0"]
    augment = load(file, *words).block_train("boxes").augment
    assert (augment["vflip"], augment["hflip"]) == (0.25, 0.0)


def test_all_faults_are_told_at_once(file):
    text = message(file, "train.epochs=0", "train.lr=0", "repetition=3")
    assert len(text.splitlines()) == 3
    assert all(line.startswith(f"{file}: ") for line in text.splitlines())


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"a: [1", "is not valid YAML"),
        (b"- 1", "must hold a mapping"),
        (b"", "must hold a mapping"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"name: x\n", "matrix: missing"),
        (b"!!python/object:os.system {}", "is not valid YAML"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, part):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    text = message(path)
    assert str(path) in text
    assert part in text


def test_an_unknown_experiment_names_the_closest(tmp_path):
    with pytest.raises(UserError, match="did you mean 'quickstart'"):
        load_experiment("quickstar")


def test_shipped_experiments_load_and_describe_themselves():
    for name in shipped_experiments():
        experiment = load_experiment(name)
        assert experiment.name == name
        assert experiment.description


def test_what_was_loaded_can_be_stored_and_loaded_again(file, tmp_path):
    experiment = load(file)
    copy = tmp_path / "copy.yaml"
    copy.write_text(yaml.safe_dump(experiment.model_dump(mode="json")))
    assert load_experiment(str(copy)) == experiment


def test_labels_say_what_the_entry_says():
    assert LossEntry(name="giou").shown == "giou"
    assert LossEntry(name="giou", weight=2.5).shown == "giou weight=2.5"
    assert LossEntry.model_validate({"name": "focal", "gamma": 5}).shown == "focal gamma=5"
    assert LossEntry(name="giou", weight=2, label="mine").shown == "mine"


def shown(entry: dict[str, Any]) -> str:
    return Experiment.model_validate(
        {
            "name": "x",
            "matrix": {
                "masks": {
                    "task": "segmentation",
                    "losses": [entry],
                    "datasets": ["shapes"],
                    "models": ["tiny_unet"],
                }
            },
        }
    ).loss_labels()[0]


def test_the_label_of_a_sum_says_its_terms_and_weights():
    assert shown({"sum": [{"name": "bce", "weight": 0.5}, "dice"]}) == "0.5*bce + dice"
    ramp = {"from": 0.01, "to": 1}
    terms = [{"name": "focal", "gamma": 5}, {"name": "boundary", "weight": ramp}]
    assert shown({"sum": terms, "weight": 2}) == "focal gamma=5 + 0.01..1*boundary weight=2"
    assert shown({"sum": terms, "label": "mine"}) == "mine"


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("{sum: []}", "losses.0.sum: must not be empty"),
        ("{sum: bce}", "losses.0.sum: must be a list, got 'bce'"),
        ("{sum: [3]}", "losses.0.sum.0"),
        ("{sum: [{weight: 1}]}", "losses.0.sum.0.name: missing"),
        ("{sum: [bce, {sum: [dice]}]}", "losses.0.sum.1: a sum cannot be part of a sum"),
        (
            "{name: dice, sum: [bce]}",
            "losses.0: must have a name, a sum or parts, and one of these alone",
        ),
        ("{sum: [bce], weight: 0}", "losses.0.weight: should be greater than 0"),
    ],
)
def test_a_wrong_sum_is_told_by_its_path(file, entry, part):
    assert f"matrix.boxes.{part}" in message(file, f"matrix.boxes.losses=[{entry}]")


def test_parts_are_shown_by_their_places():
    def shown(entry):
        return TypeAdapter(NamedLoss).validate_python(entry).shown

    parts = {"rpn": "smooth_l1", "roi": {"name": "giou", "weight": 2}}
    assert shown({"parts": parts}) == "rpn=smooth_l1, roi=giou weight=2"
    assert shown({"parts": parts, "weight": 3}) == "rpn=smooth_l1, roi=giou weight=2 weight=3"
    assert shown({"parts": parts, "label": "mine", "weight": 3}) == "mine"
    assert shown({"parts": {"mask": {"sum": ["bce", "dice"]}}}) == "mask=bce + dice"


def test_losses_by_place_are_crossed():
    def labels(losses):
        return [loss.shown for loss in TypeAdapter(Losses).validate_python(losses)]

    assert labels(
        {"box": ["smooth_l1", "giou"], "mask": ["bce", {"name": "dice", "weight": 2}]}
    ) == [
        "smooth_l1 × bce",
        "smooth_l1 × dice weight=2",
        "giou × bce",
        "giou × dice weight=2",
    ]
    assert labels({"box": ["iou", "giou"], "classification": ["varifocal"]}) == ["iou", "giou"]
    assert labels({"box": ["giou"], "mask": ["bce"]}) == ["giou × bce"]


@pytest.mark.parametrize(
    ("losses", "part"),
    [
        ("[{parts: {}}]", "losses.0.parts: must not be empty, got {}"),
        ("[{parts: null}]", "losses.0: parts must not be empty"),
        ("[{parts: {roi: 3}}]", "losses.0.parts.roi: must be a name, or a mapping"),
        ("[{parts: giou}]", "losses.0.parts: must be a mapping"),
        ("[3]", "losses.0: must be a name, or a mapping"),
        ("[{parts: {rpn: {parts: {roi: iou}}}}]", "losses.0.parts.rpn: parts cannot hold parts"),
        ("[{parts: {rpn: iou}, sum: [iou]}]", "losses.0: must have a name, a sum or parts"),
        ("[{name: iou, parts: {rpn: iou}}]", "losses.0: must have a name, a sum or parts"),
        ("[{parts: {rpn: {weight: 2}}}]", "losses.0.parts.rpn.name: missing"),
        ("{}", "losses: must not be empty"),
        ("{box: []}", "losses.box: must not be empty"),
        ("{box: giou}", "losses.box: must be a list"),
        ("{box: [3]}", "losses.box.0"),
    ],
)
def test_wrong_parts_are_told_by_their_path(file, losses, part):
    assert f"matrix.boxes.{part}" in message(file, f"matrix.boxes.losses={losses}")


def test_the_baseline_is_the_first_loss_unless_said(file):
    assert load(file).baselines() == {"detection": "giou"}
    chosen = load(file, "matrix.boxes.baseline=ciou weight=2")
    assert chosen.baselines() == {"detection": "ciou weight=2"}


def cell(**changes) -> CellConfig:
    content = {
        "task": "detection",
        "loss": {"name": "giou", "label": "giou"},
        "dataset": {"name": "voc", "label": "cells", "options": {"root": "a", "one_based": True}},
        "model": {"name": "tiny_fcos", "label": "tiny_fcos"},
        "repetition": 0,
        "seed": 0,
        "train": {},
    }
    return CellConfig.model_validate({**content, **changes})


def test_the_identity_leaves_out_paths_and_the_losss_label():
    one = cell()
    moved = cell(
        dataset={"name": "voc", "label": "cells", "options": {"root": "b", "one_based": True}}
    )
    renamed = cell(loss={"name": "giou", "label": "other"})
    assert one.identity() == moved.identity() == renamed.identity()


def test_runs_from_before_there_were_sums_keep_their_identity():
    assert cell().slug == "cells-tiny_fcos-giou-r0-2655edea"


@pytest.mark.parametrize(
    "changes",
    [
        {"repetition": 1},
        {"seed": 1},
        {"train": {"epochs": 9}},
        {"loss": {"name": "giou", "label": "giou", "version": 2}},
        {"loss": {"name": "giou", "label": "giou", "weight": 2.0}},
        {"loss": {"name": "giou", "label": "giou", "options": {"power": 2}}},
        {"loss": {"name": "giou", "label": "giou", "term_versions": [1]}},
        {"dataset": {"name": "voc", "label": "other", "options": {"root": "a", "one_based": True}}},
        {"dataset": {"name": "voc", "label": "cells", "options": {"root": "a"}}},
        {"model": {"name": "other", "label": "tiny_fcos"}},
    ],
)
def test_the_identity_holds_all_that_the_numbers_depend_on(changes):
    assert cell(**changes).identity() != cell().identity()
    assert cell(**changes).slug != cell().slug


def test_a_block_adds_to_the_tuning_of_the_experiment(file):
    words = ["tune.weights=[1, 2]", "tune.epochs=4", "matrix.boxes.tune.lr=[0.1]"]
    found = load_experiment(str(file), words).block_tune("boxes")
    assert (found.weights, found.lr, found.epochs) == ([1.0, 2.0], [0.1], 4)
    assert load_experiment(str(file), [words[0], "matrix.boxes.tune=false"]).tuning_by_table() == {}


def test_targets_of_a_block_take_the_place_of_the_experiments(file):
    words = ["targets={AP: 0.3, AP50: 0.5}", "matrix.boxes.targets={AP: 0.4}"]
    table = ("detection", "shapes", "tiny_fcos")
    found = load_experiment(str(file), words).targets_by_table()
    assert found == {table: {"AP": 0.4, "AP50": 0.5}}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tune={epochs: 3}", "tune: names nothing to choose from: give weights, lr or options"),
        ("tune.weights=[]", "tune.weights: must not be empty"),
        ("tune.weights=[1, 0]", "tune.weights.1: should be greater than 0, got 0"),
        ("tune.weights=[1, 2, 1]", "tune: weights lists 1.0 twice"),
        ("tune.weight=[1]", "tune.weight: unknown key (did you mean 'weights'?)"),
        ("matrix.boxes.tune={lrs: [1]}", "lrs: unknown key"),
        ("targets={AP: 40}", "targets.AP: should be less than 1, got 40"),
    ],
)
def test_a_tuning_or_target_that_makes_no_sense_is_refused(file, word, message):
    with pytest.raises(UserError) as caught:
        load_experiment(str(file), [word])
    assert message in str(caught.value)


def test_two_blocks_of_one_table_must_be_tuned_alike(file):
    content = yaml.safe_load(TEXT)
    content["matrix"]["more"] = {**content["matrix"]["boxes"], "losses": ["giou", "diou"]}
    content["matrix"]["more"]["tune"] = {"lr": [0.1]}
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"matrix\.more and matrix\.boxes .* must be the same"):
        load_experiment(str(file))


def test_a_tuning_run_is_another_run_and_a_final_one_keeps_its_identity():
    final = cell()
    assert final.model_copy(update={"tuned": {"weight": 1.0}}).identity() == final.identity()
    tuning = final.model_copy(update={"stage": "tuning"})
    assert tuning.identity() != final.identity()
    assert "-t0-" in tuning.slug


@given(st.text(min_size=1, max_size=60).filter(lambda label: not CONTROL.search(label)))
def test_any_label_makes_a_safe_folder_name(label):
    slug = cell(loss={"name": "giou", "label": label}).slug
    assert "/" not in slug
    assert not slug.startswith((".", "-"))
    assert slug.endswith(cell().identity()[:8])
    assert len(slug.encode()) < 255


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    st.text(st.characters(exclude_characters="="), max_size=20),
    st.text(max_size=10),
)
def test_an_override_either_applies_or_is_a_user_error(content, key, value):
    content = content if isinstance(content, dict) else {"name": content}
    with suppress(UserError):
        apply_override(content, f"{key}={value}")
        # What was set can be read back along the same path.
        node: Any = content
        for step in key.split("."):
            node = node[int(step)] if isinstance(node, list) else node[step]
        assert node == parse_yaml(value)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("amp=tf32", "amp: must be false, true (the type that suits the device), bf16 or fp16"),
        ("amp=1", "amp: must be false, true"),
        ("compile=2", "compile: must be true or false"),
        ("ema=1", "ema: should be less than 1"),
        ("ema=0", "ema: should be greater than 0"),
        ("ema=true", "ema: "),
        ("backbone_lr=0", "backbone_lr: should be greater than 0"),
        ("backbone_lr=.inf", "backbone_lr: must be a finite number"),
        ("freeze=head", "freeze: should be 'none', 'norm' or 'backbone'"),
        ("multi_scale=1.5", "multi_scale: must be [low, high]"),
        ("multi_scale=[1]", "multi_scale: must be [low, high]"),
        ("multi_scale=[2, 1]", "multi_scale: must be [low, high]"),
        ("multi_scale=[0.1, 1]", "multi_scale: must be [low, high]"),
        ("multi_scale=[1, 5]", "multi_scale: must be [low, high]"),
        ("multi_scale=[1, x]", "multi_scale: must be [low, high]"),
        ("multi_scale=[.nan, .nan]", "multi_scale: must be [low, high]"),
    ],
)
def test_wrong_settings_of_the_training_are_told(file, override, told):
    assert f"train.{told}" in (found := message(file, f"train.{override}"))
    assert len(found.splitlines()) == 1


def test_a_frozen_backbone_has_no_rate(file):
    text = message(file, "train.freeze=backbone", "train.backbone_lr=0.1")
    assert "backbone_lr is 0.1, but freeze: backbone" in text


@pytest.mark.parametrize(
    "setting",
    [
        {"amp": "bf16"},
        {"compile": True},
        {"ema": 0.9},
        {"backbone_lr": 0.1},
        {"freeze": "norm"},
        {"multi_scale": [1, 1]},
    ],
)
def test_settings_that_came_later_are_part_of_the_identity_where_they_are_used(setting):
    assert cell(train=setting).identity() != cell().identity()


def test_settings_that_came_later_change_no_identity_where_they_are_not():
    spelt_out = {"compile": False, "ema": None, "backbone_lr": 1.0, "freeze": "none"}
    assert cell(train={**spelt_out, "multi_scale": None}).identity() == cell().identity()
