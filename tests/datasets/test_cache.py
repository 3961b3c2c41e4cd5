"""The cache: right values, shared, mapped, and rebuilt when it is stale or damaged."""

import errno
import json
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from datasets.base import SPLITS, Dataset
from datasets.cache import CachedSplit, open_cached, prepare, warn_of_dropped_boxes
from datasets.cache_files import Shards, crc_of
from datasets.letterbox import Letterbox
from datasets.sample import DatasetError, Sample
from datasets.shapes import Shapes
from datasets.voc import Voc


@dataclass
class Files(Dataset):
    """Samples kept as ``.npz`` files, to be put together by the tests."""

    root: str
    option: int = 0

    tasks: ClassVar[frozenset[str]] = frozenset({"detection", "segmentation"})
    decoded: ClassVar[list[str]] = []

    def __post_init__(self) -> None:
        self.classes = ["a", "b"]

    def ids(self, split):
        return sorted(path.stem for path in Path(self.root).glob(f"{split}*.npz"))

    def files(self, sample_id):
        return [Path(self.root) / f"{sample_id}.npz"]

    def load(self, sample_id):
        Files.decoded.append(sample_id)
        path = self.files(sample_id)[0]
        with np.load(path) as stored:
            arrays = dict(stored)
        dropped = int(arrays.pop("dropped", 0))
        return Sample(id=sample_id, path=str(path), dropped=dropped, **arrays)


def write_sample(folder: Path, name: str, height=20, width=30, boxes=(), labels=(), **extra):
    arrays = {
        "image": np.random.default_rng(len(name)).integers(0, 256, (height, width, 3), np.uint8),
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": np.array(labels, np.int64),
        "semantic": np.zeros((height, width), np.uint8),
        **extra,
    }
    np.savez(folder / name, **{key: value for key, value in arrays.items() if value is not None})


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    write_sample(folder, "train-1.npz", boxes=[[1, 2, 11, 12]], labels=[1])
    write_sample(folder, "train-2.npz")
    write_sample(folder, "train-3.npz", boxes=[[0, 0, 5, 5], [3, 4, 30, 20]], labels=[0, 1])
    Files.decoded.clear()
    return folder


def prepare_quietly(*args, **kwargs) -> CachedSplit:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return prepare(*args, **kwargs)


def test_a_wide_image_by_hand(tmp_path):
    image = np.full((100, 200, 3), (10, 20, 30), np.uint8)
    semantic = np.zeros((100, 200), np.uint8)
    semantic[50:, 100:] = 2
    write_sample(
        tmp_path,
        "train.npz",
        image=image,
        semantic=semantic,
        boxes=[[10, 20, 60, 80], [0, 0, 200, 100]],
        labels=[1, 0],
    )
    cached = prepare_quietly(Files(str(tmp_path)), "train", (64, 64), tmp_path / "cache")
    # The factor is min(64/100, 64/200) = 0.32: a picture of 64 x 32 above padding.
    assert cached.scale(0) == 0.32
    assert cached.picture_size(0) == (32, 64)
    assert cached.original_size(0) == (100, 200)
    np.testing.assert_array_equal(cached.image(0)[:32], np.full((32, 64, 3), (10, 20, 30)))
    np.testing.assert_array_equal(cached.image(0)[32:], np.full((32, 64, 3), 114))
    expected = [[3.2, 6.4, 19.2, 25.6], [0.0, 0.0, 64.0, 32.0]]
    np.testing.assert_allclose(cached.boxes(0), expected, rtol=1e-6)
    assert cached.labels(0).tolist() == [1, 0]
    mask = np.zeros((64, 64), np.uint8)
    mask[16:32, 32:] = 2
    mask[32:] = 255
    np.testing.assert_array_equal(cached.semantic(0), mask)
    assert cached.image_size == (64, 64)
    assert (list(cached.ids), cached.classes) == (["train"], ["a", "b"])
    assert cached.path(0) == str(tmp_path / "train.npz")
    assert len(cached) == 1


def test_a_small_tall_image_is_enlarged_and_padded_at_the_right(tmp_path):
    image = np.zeros((20, 10, 3), np.uint8)
    image[10:] = 200
    write_sample(tmp_path, "train.npz", height=20, width=10, image=image)
    cached = prepare_quietly(Files(str(tmp_path)), "train", (40, 60), tmp_path / "cache")
    assert cached.scale(0) == 2.0
    assert cached.picture_size(0) == (40, 20)
    column = cached.image(0)[:, 5, 0]
    assert column[:19].tolist() == [0] * 19
    # Between the rows the value passes through a quarter and three quarters.
    assert column[19:21].tolist() == [50, 150]
    assert column[21:].tolist() == [200] * 19
    assert (cached.image(0)[:, 20:] == 114).all()
    np.testing.assert_array_equal(np.asarray(cached.semantic(0))[:, 20:], 255)


def test_shrinking_averages_pixels(tmp_path):
    image = np.zeros((8, 8, 3), np.uint8)
    image[::2] = 100
    write_sample(tmp_path, "train.npz", image=image, semantic=None)
    cached = prepare_quietly(Files(str(tmp_path)), "train", (4, 4), tmp_path / "cache")
    assert (cached.image(0) == 50).all()


@pytest.mark.parametrize("size", [(1, 1000), (1000, 1), (3, 7)])
def test_extreme_shapes_keep_a_pixel(size):
    fitted = Letterbox.fit(size, (32, 48))
    assert 1 <= fitted.height <= 32
    assert 1 <= fitted.width <= 48
    assert fitted.image(np.zeros((*size, 3), np.uint8)).shape == (32, 48, 3)


def test_samples_keep_their_own_boxes(source, tmp_path):
    cached = prepare_quietly(Files(str(source)), "train", (20, 30), tmp_path / "cache")
    assert [cached.labels(index).tolist() for index in range(3)] == [[1], [], [0, 1]]
    assert cached.boxes(1).shape == (0, 4)
    assert cached.boxes(2).tolist() == [[0, 0, 5, 5], [3, 4, 30, 20]]
    assert cached.labels(-1).tolist() == [0, 1]
    with pytest.raises(IndexError, match="sample 3 of a split of 3"):
        cached.boxes(3)


def test_the_second_time_nothing_is_decoded(source, tmp_path):
    steps = []
    dataset = Files(str(source))
    prepare_quietly(
        dataset,
        "train",
        (16, 16),
        tmp_path / "cache",
        lambda done, total: steps.append((done, total)),
    )
    assert steps == [(1, 3), (2, 3), (3, 3)]
    Files.decoded.clear()
    again = prepare_quietly(dataset, "train", (16, 16), tmp_path / "cache")
    assert Files.decoded == []
    assert len(again) == 3


def test_different_requests_do_not_share_a_folder(source, tmp_path):
    write_sample(source, "val-1.npz")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in source.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    cache = tmp_path / "cache"
    requests = [
        (Files(str(source)), "train", (16, 16)),
        (Files(str(source)), "val", (16, 16)),
        (Files(str(source)), "train", (16, 24)),
        (Files(str(source), option=1), "train", (16, 16)),
        (Files(str(copy)), "train", (16, 16)),
    ]
    folders = {prepare_quietly(*request, cache).folder for request in requests}
    assert len(folders) == len(requests)
    assert all(folder.name.startswith("Files-") for folder in folders)
    write_sample(source, "train-4.npz")
    assert prepare_quietly(*requests[0], cache).folder not in folders


def test_other_content_of_the_same_size_and_time_makes_it_stale(source, tmp_path):
    dataset, cache = Files(str(source)), tmp_path / "cache"
    old = prepare_quietly(dataset, "train", (20, 30), cache).fingerprint
    path = source / "train-2.npz"
    with np.load(path) as stored:
        arrays = {**stored, "image": 255 - stored["image"]}
    status = path.stat()
    np.savez(path, **arrays)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert prepare_quietly(dataset, "train", (20, 30), cache).fingerprint != old


@pytest.mark.parametrize("change", ["time", "size"])
def test_a_changed_file_makes_it_stale(source, tmp_path, change):
    dataset, cache = Files(str(source)), tmp_path / "cache"
    old = prepare_quietly(dataset, "train", (20, 30), cache)
    path = source / "train-2.npz"
    status = path.stat()
    if change == "time":
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    else:
        write_sample(source, "train-2.npz", boxes=[[1, 1, 9, 9]], labels=[0], more=None)
        path.write_bytes(path.read_bytes() + b"\0")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    Files.decoded.clear()
    new = prepare_quietly(dataset, "train", (20, 30), cache)
    assert Files.decoded == ["train-1", "train-2", "train-3"]
    assert new.labels(1).tolist() == ([] if change == "time" else [0])
    assert new.folder == old.folder


def _truncate(folder):
    with (folder / "images-00000.bin").open("r+b") as file:
        file.truncate(200)


def _flip_a_bit(folder, name="boxes.bin"):
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)


def _edit_checks(folder):
    checks = json.loads((folder / "checks.json").read_text())
    del checks["labels.bin"]["crc"]
    (folder / "checks.json").write_text(json.dumps(checks))


DAMAGES = [
    (_truncate, "images-00000.bin has not the size"),
    (_flip_a_bit, "boxes.bin has changed"),
    (lambda folder: _flip_a_bit(folder, "semantic-00000.bin"), "semantic-00000.bin has changed"),
    (lambda folder: (folder / "labels.bin").unlink(), "labels.bin"),
    (lambda folder: (folder / "meta.json").unlink(), "meta.json"),
    (lambda folder: (folder / "meta.json").write_text("{"), "damaged"),
    (lambda folder: (folder / "meta.json").write_text("[]"), "damaged"),
    (lambda folder: (folder / "checks.json").write_text("[]"), "damaged"),
    (_edit_checks, "damaged.*crc"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
@pytest.mark.parametrize("settled", [True, False], ids=["old", "just built"])
def test_a_damaged_cache_is_built_anew_and_says_so(source, tmp_path, damage, message, settled):
    dataset, cache = Files(str(source)), tmp_path / "cache"
    whole = prepare_quietly(dataset, "train", (16, 16), cache)
    folder = whole.folder
    expected = whole.image(0).copy(), whole.boxes(0)
    del whole
    if settled:
        record_as_old(folder)
        prepare_quietly(dataset, "train", (16, 16), cache)
    damage(folder)
    with pytest.warns(UserWarning, match=f"{message}.*built anew"):
        rebuilt = prepare(dataset, "train", (16, 16), cache)
    np.testing.assert_array_equal(rebuilt.image(0), expected[0])
    np.testing.assert_array_equal(rebuilt.boxes(0), expected[1])
    prepare_quietly(dataset, "train", (16, 16), cache)


def record_as_old(folder):
    """Note the files' times as if they had been read long after they were written."""
    path = folder / "checks.json"
    checks = json.loads(path.read_text())
    for name, facts in checks.items():
        status = (folder / name).stat()
        facts["times"] = [status.st_mtime_ns, status.st_ctime_ns]
    path.write_text(json.dumps(checks))


def test_files_are_read_again_only_where_their_times_say_so(source, tmp_path, monkeypatch):
    dataset, cache = Files(str(source)), tmp_path / "cache"
    folder = prepare_quietly(dataset, "train", (16, 16), cache).folder
    read = []
    monkeypatch.setattr(
        "datasets.cache_check.crc_of", lambda path: read.append(path.name) or crc_of(path)
    )
    everything = {path.name for path in folder.glob("*.bin")}

    def opening_reads():
        read.clear()
        prepare_quietly(dataset, "train", (16, 16), cache)
        return set(read)

    # What was written a moment ago could be written to again without another time.
    assert opening_reads() == everything
    monkeypatch.setattr("datasets.cache_check.SETTLED_NS", -(10**18))
    assert opening_reads() == everything
    assert opening_reads() == set()
    os.utime(folder / "labels.bin")
    assert opening_reads() == {"labels.bin"}
    assert opening_reads() == set()
    # A file that was complete long before the last one is not read again even the first time.
    cache = tmp_path / "another"
    prepare_quietly(dataset, "train", (16, 16), cache)
    assert opening_reads() == set()


def test_images_are_mapped_not_loaded_and_cannot_be_written(source, tmp_path):
    cached = prepare_quietly(Files(str(source)), "train", (16, 16), tmp_path / "cache")
    arrays: list[Any] = [cached.image(0), cached.semantic(0)]
    for array in arrays:
        assert isinstance(array.base, np.memmap)
        assert type(array) is np.ndarray
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_it_travels_to_another_process_as_a_path(source, tmp_path):
    cached = prepare_quietly(Files(str(source)), "train", (64, 64), tmp_path / "cache")
    data = pickle.dumps(cached)
    assert len(data) < 1000
    copy = pickle.loads(data)
    np.testing.assert_array_equal(copy.image(2), cached.image(2))
    np.testing.assert_array_equal(copy.boxes(2), cached.boxes(2))
    opened = open_cached(cached.folder)
    np.testing.assert_array_equal(opened.semantic(1), cached.semantic(1))
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).image(2).sum())"
    done = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True)
    assert int(done.stdout) == cached.image(2).sum(), done.stderr


def test_opening_what_is_no_cache_is_an_error(tmp_path):
    with pytest.raises(DatasetError, match="nowhere: not a cached data set"):
        open_cached(tmp_path / "nowhere")
    (tmp_path / "meta.json").write_text('{"count": 1}')
    with pytest.raises(DatasetError, match="not a cached data set"):
        open_cached(tmp_path)


def test_no_objects_and_no_masks_at_all(tmp_path):
    write_sample(tmp_path, "train.npz", semantic=None)
    cached = prepare_quietly(Files(str(tmp_path)), "train", (16, 16), tmp_path / "cache")
    assert cached.boxes(0).shape == (0, 4)
    assert cached.labels(0).dtype == np.int64
    assert cached.semantic(0) is None
    assert not cached.has_semantic


def test_dropped_boxes_give_one_warning_that_names_the_files(source, tmp_path):
    write_sample(source, "train-1.npz", dropped=np.array(2))
    write_sample(source, "train-3.npz", dropped=np.array(1))
    dataset, cache = Files(str(source)), tmp_path / "cache"
    for _ in range(2):  # on building and on opening again
        cached = prepare(dataset, "train", (16, 16), cache)
        with pytest.warns(UserWarning, match="dropped") as caught:
            warn_of_dropped_boxes([cached])
        assert [str(warning.message) for warning in caught] == [
            "3 boxes without width or height dropped, in: "
            f"{source / 'train-1.npz'}, {source / 'train-3.npz'}"
        ]
    assert cached.dropped == {
        str(source / "train-1.npz"): 2,
        str(source / "train-3.npz"): 1,
    }


def test_an_empty_split_is_an_error(source, tmp_path):
    with pytest.raises(DatasetError, match="Files: the split 'test' has no samples"):
        prepare(Files(str(source)), "test", (16, 16), tmp_path / "cache")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"labels": [7], "boxes": [[0, 0, 2, 2]]}, "train-2.npz: a label lies outside 0..1"),
        ({"semantic": None}, "train-2.npz: has no mask, unlike the samples of the split 'train'"),
    ],
)
def test_a_bad_sample_is_named_and_nothing_is_left(source, tmp_path, extra, message):
    write_sample(source, "train-2.npz", **extra)
    with pytest.raises(DatasetError, match=message):
        prepare(Files(str(source)), "train", (16, 16), tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] in ([], [".lock"])


def test_a_file_that_vanished_is_named(source, tmp_path, monkeypatch):
    dataset = Files(str(source))
    monkeypatch.setattr(Files, "ids", lambda self, split: ["train-1", "gone"])
    with pytest.raises(DatasetError, match=r"gone.npz: cannot be read"):
        prepare(dataset, "train", (16, 16), tmp_path / "cache")


def test_a_full_disk_is_an_error_not_a_crash(source, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(
        DatasetError, match="the images of 3 samples need 2,304 bytes, but only 1,000 are free"
    ):
        prepare(Files(str(source)), "train", (16, 16), tmp_path / "cache")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2304 - 1))
    with pytest.raises(DatasetError, match=r"the images of .* need 2,304 bytes"):
        prepare(Files(str(source)), "train", (16, 16), tmp_path / "cache")


def test_a_disk_that_fills_up_later_is_an_error_and_nothing_is_left(source, tmp_path, monkeypatch):
    write = Shards.write

    def refuse(self, index, values):
        if index == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, index, values)

    monkeypatch.setattr(Shards, "write", refuse)
    with pytest.raises(DatasetError, match=r"the disk filled up while 3 samples were decoded"):
        prepare(Files(str(source)), "train", (16, 16), tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] in ([], [".lock"])


def test_a_file_that_cannot_be_written_is_named(source, tmp_path, monkeypatch):
    def refuse(self, index, values):
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(Shards, "write", refuse)
    with pytest.raises(OSError, match="File too large") as refused:
        prepare(Files(str(source)), "train", (16, 16), tmp_path / "cache")
    assert Path(refused.value.filename).parent == tmp_path / "cache"


def test_label_noise_reaches_the_training_split_alone(tmp_path):
    noisy = Shapes(train=3, val=3, test=0, size=32, box_noise=0.3)
    clean = Shapes(train=3, val=3, test=0, size=32)
    for split, same in (("train", False), ("val", True)):
        one, other = (
            prepare_quietly(dataset, split, (32, 32), tmp_path) for dataset in (noisy, clean)
        )
        pairs = [(one.boxes(index), other.boxes(index)) for index in range(3)]
        assert all(np.array_equal(*pair) for pair in pairs) == same


def test_blood_cells_the_two_degenerate_boxes_are_reported(data_folder, tmp_path):
    dataset = Voc(root=str(data_folder / "bccd" / "BCCD"))
    splits = [prepare(dataset, split, (60, 80), tmp_path) for split in SPLITS]
    assert {cached.original_size(0) for cached in splits} == {(480, 640)}
    assert {cached.scale(0) for cached in splits} == {0.125}
    objects = sum(len(cached.labels(i)) for cached in splits for i in range(len(cached)))
    assert objects == 4888 - 2  # as many <object> elements as the XML files hold, less two
    with pytest.warns(UserWarning, match="^2 boxes without width or height dropped") as caught:
        warn_of_dropped_boxes(splits)
    (message,) = (str(warning.message) for warning in caught)
    assert "BloodImage_00338" in message
    assert "BloodImage_00343" in message
