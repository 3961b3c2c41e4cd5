"""Run folders as bytes: what arrives, in which order, and what is refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.executors.on_ray import parcel
from benchmark.executors.on_ray.parcel import deliver, pack
from datasets.sample import DatasetError


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


names = st.text(st.sampled_from("abcé_-=."), min_size=1, max_size=8).filter(
    lambda name: not name.startswith(".")
)


@given(files=st.dictionaries(names, st.binary(max_size=300), max_size=5))
def test_the_files_that_leave_are_those_that_arrive(files, tmp_path_factory):
    old = fill(tmp_path_factory.mktemp("old"), files)
    new = tmp_path_factory.mktemp("new")
    deliver(pack(old), new / "run")
    assert content(new / "run") == files


def test_a_delivery_takes_the_place_of_all_but_the_lock(tmp_path):
    sent = {"metrics.json": b"{}", "tensorboard/events.1": b"e", "history.csv": b"new"}
    old = fill(tmp_path / "old", {**sent, ".lock": b"x", ".history.csv.ab.csv": b"half"})
    kept = {"checkpoint.pt": b"weights", "failure.json": b"{}", "history.csv": b"old"}
    cut_off = {".arriving-x1/run.zip": b"half", ".arriving-x1/files/a": b"half"}
    new = fill(tmp_path / "new", {**kept, **cut_off, ".lock": b"mine"})
    deliver(pack(old), new)
    assert content(new) == {**sent, ".lock": b"mine"}


def test_the_outcome_takes_its_place_after_the_rest_and_the_checkpoint_after_the_history(
    tmp_path, monkeypatch
):
    files = {"metrics.json": b"m", "checkpoint.pt": b"c", "history.csv": b"h", "z/events": b"e"}
    order = []
    real = parcel.write_atomically

    def write(path, write, durable=False):
        order.append(path.name)
        real(path, write, durable)

    monkeypatch.setattr(parcel, "write_atomically", write)
    deliver(pack(fill(tmp_path / "old", files)), tmp_path / "new")
    assert order == ["history.csv", "events", "checkpoint.pt", "metrics.json"]


def test_a_delivery_that_is_cut_short_changes_nothing(tmp_path):
    old = fill(tmp_path / "old", {"history.csv": b"new" * 100, "metrics.json": b"m" * 100})
    new = fill(tmp_path / "new", {"history.csv": b"old"})
    packed = pack(old)
    for end in (0, 10, len(packed) // 2, len(packed) - 1):
        with pytest.raises(DatasetError, match="damaged"):
            deliver(packed[:end], new)
        assert content(new) == {"history.csv": b"old"}
    with pytest.raises(DatasetError, match="damaged"):
        deliver(packed.replace(b"newnew", b"newNEW", 1), new)
    assert content(new) == {"history.csv": b"old"}


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "..\\out.txt"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    new = fill(tmp_path / "runs" / "new", {"history.csv": b"old"})
    with pytest.raises(DatasetError, match="leads out of the folder"):
        deliver(zipped(**{"metrics.json": b"{}", name: b"evil"}), new)
    assert content(tmp_path) == {"runs/new/history.csv": b"old"}


def test_hidden_files_that_a_node_sends_stay_out(tmp_path):
    new = fill(tmp_path / "new", {".lock": b"mine"})
    deliver(zipped(**{".lock": b"theirs", ".hidden/file": b"x", "metrics.json": b"{}"}), new)
    assert content(new) == {".lock": b"mine", "metrics.json": b"{}"}


def test_what_is_too_large_does_not_travel(tmp_path, monkeypatch):
    old = fill(tmp_path / "old", {"checkpoint.pt": b"0123456789"})
    packed = pack(old)
    monkeypatch.setattr(parcel, "MAX_BYTES", 9)
    with pytest.raises(ValueError, match="the run's files have 10 bytes, 9 at most can travel"):
        pack(old)
    with pytest.raises(ValueError, match="9 at most can travel"):
        deliver(packed, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_file_takes_the_place_of_a_folder_of_its_name(tmp_path):
    old = fill(tmp_path / "old", {"samples": b"a file"})
    new = fill(tmp_path / "new", {"samples/0.jpg": b"x"})
    deliver(pack(old), new)
    assert content(new) == {"samples": b"a file"}
