"""From archives to a data set in the data folder."""

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from datasets.base import command, resolve_root
from datasets.download.install import MARKER, Origin, install, known_sources
from datasets.download.source import Archive, Source, locate
from datasets.sample import DatasetError


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


IMAGES = zipped({"v1/images/a.png": "A", "v1/images/b.png": "B"})
LABELS = zipped({"a.txt": "1", "b.txt": "2"})


def published(content, url, **options):
    checksum = hashlib.sha256(content).hexdigest()
    return Archive(url, len(content), checksum, "its publisher", **options)


@pytest.fixture
def source(publisher):
    publisher.files = {"images.zip": IMAGES, "labels.zip": LABELS}
    return Source(
        name="toy",
        licence="CC0",
        home="https://example.org",
        archives=(
            published(IMAGES, f"{publisher.address}/images.zip", strip=1),
            published(LABELS, f"{publisher.address}/labels.zip", into="labels"),
        ),
        layout=("images/*.png", "labels"),
    )


def tree(folder: Path):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


WHOLE = ["images/a.png", "images/b.png", "labels/a.txt", "labels/b.txt", MARKER]


def test_once_and_again(publisher, source, tmp_path):
    said = []
    folder = install(source, tmp_path / "data", Origin(""), tell=said.append)
    assert folder == tmp_path / "data" / "toy"
    assert tree(folder) == WHOLE
    assert [path for path, _ in publisher.asked] == ["images.zip", "labels.zip"]
    marker = json.loads((folder / MARKER).read_text())
    assert marker["archives"][0] == {
        "name": "images.zip",
        "from": f"{publisher.address}/images.zip",
        "sha256": hashlib.sha256(IMAGES).hexdigest(),
        "checked": "its publisher",
    }
    # No archive, no part and no half-unpacked folder stays behind.
    assert sorted(p.name for p in (tmp_path / "data").iterdir()) == [
        ".archives",
        ".toy.lock",
        "toy",
    ]
    assert not list((tmp_path / "data" / ".archives").iterdir())
    publisher.asked.clear()
    said.clear()
    install(source, tmp_path / "data", Origin(""), tell=said.append)
    assert publisher.asked == []
    (line,) = said
    assert f"unpacked from images.zip (sha256 {hashlib.sha256(IMAGES).hexdigest()[:12]})" in line


def test_archives_can_be_kept_and_taken_from_a_folder(publisher, source, tmp_path):
    install(source, tmp_path / "data", Origin("", keep=True))
    archives = tmp_path / "data" / ".archives"
    assert tree(archives) == ["images.zip", "labels.zip"]
    publisher.asked.clear()
    folder = install(source, tmp_path / "other", Origin(str(archives)))
    assert tree(folder) == WHOLE
    assert publisher.asked == []
    assert tree(archives) == ["images.zip", "labels.zip"]  # the user's files stay
    with pytest.raises(DatasetError, match=r"images\.zip: is a file; --from and .* the folder"):
        install(source, tmp_path / "third", Origin(str(archives / "images.zip")))
    (archives / "labels.zip").unlink()
    with pytest.raises(DatasetError, match=r"labels\.zip: no such file \(it is published at http"):
        install(source, tmp_path / "third", Origin(str(archives)))


def test_a_mirror(publisher, source, tmp_path, monkeypatch):
    publisher.files = {f"pub/data/{name}": content for name, content in publisher.files.items()}
    monkeypatch.setenv("LOSSBENCH_MIRROR", f"{publisher.address}/pub/data/")
    install(source, tmp_path, Origin())
    assert [path for path, _ in publisher.asked] == ["pub/data/images.zip", "pub/data/labels.zip"]


@pytest.mark.parametrize("place", ["foo://x", "https://", "http:///pub", "://"])
def test_a_mirror_that_is_no_address(place):
    with pytest.raises(DatasetError, match=f"{place}: is not an address to fetch from; expected"):
        Origin(place)


def test_a_wrong_archive_leaves_nothing(publisher, source, tmp_path):
    publisher.files["labels.zip"] = zipped({"a.txt": "9", "b.txt": "2"})
    with pytest.raises(DatasetError, match="wrong checksum"):
        install(source, tmp_path, Origin(""))
    assert not (tmp_path / "toy").exists()
    assert tree(tmp_path / ".archives") == ["images.zip"]  # right, so not fetched again
    publisher.files["labels.zip"] = LABELS
    publisher.asked.clear()
    install(source, tmp_path, Origin(""))
    assert publisher.asked == [("labels.zip", None)]


def test_unverified_archives_are_taken_and_marked(publisher, source, tmp_path):
    publisher.files["labels.zip"] = zipped({"c.txt": "9"})
    folder = install(source, tmp_path, Origin("", check=False))
    assert (folder / "labels" / "c.txt").exists()
    checks = [one["checked"] for one in json.loads((folder / MARKER).read_text())["archives"]]
    assert checks == ["nothing", "nothing"]
    said = []
    install(source, tmp_path, Origin(""), tell=said.append)
    assert said[0].count(", not checked)") == 2


def test_archives_of_something_else(publisher, source, tmp_path):
    publisher.files["images.zip"] = zipped({"v1/pictures/a.png": "A"})
    with pytest.raises(DatasetError, match=r"toy: the archives hold no images/\*\.png"):
        install(source, tmp_path, Origin("", check=False))
    assert not (tmp_path / "toy").exists()
    assert not (tmp_path / ".toy.unpacking").exists()


def test_a_hostile_archive_leaves_nothing(publisher, source, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("../../evil")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    publisher.files["labels.zip"] = buffer.getvalue()
    with pytest.raises(DatasetError, match=r"'\.\./\.\./evil' leads out of the folder"):
        install(source, tmp_path / "deep" / "data", Origin("", check=False))
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "deep" / "data" / "toy").exists()


def test_what_an_interrupted_unpacking_left_is_not_taken_for_whole(source, tmp_path):
    leftover = tmp_path / ".toy.unpacking"
    (leftover / "images").mkdir(parents=True)
    (leftover / "images" / "strange.png").write_text("x")
    assert not source.is_in(tmp_path)
    assert tree(install(source, tmp_path, Origin(""))) == WHOLE
    assert not leftover.exists()


def test_a_folder_put_there_by_hand(publisher, source, tmp_path):
    (tmp_path / "toy" / "images").mkdir(parents=True)
    (tmp_path / "toy" / "images" / "a.png").write_text("A")
    with pytest.raises(DatasetError, match=r"something else lies there \(no labels in .*/toy\)"):
        install(source, tmp_path, Origin(""))
    (tmp_path / "toy" / "labels").mkdir()
    said = []
    install(source, tmp_path, Origin(""), tell=said.append)
    assert "its files were not checked" in said[0]
    assert publisher.asked == []


def test_what_is_there_is_not_written_to(source, tmp_path):
    """So it may lie in a folder that is read-only."""
    folder = install(source, tmp_path, Origin(""))
    (tmp_path / ".toy.lock").unlink(missing_ok=True)
    before = {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]}
    assert install(source, tmp_path, Origin("")) == folder
    assert {path: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.rglob("*")]} == before


def test_of_two_at_once_one_works(publisher, source, tmp_path):
    tmp_path.mkdir(exist_ok=True)
    said, waiting = [], threading.Event()

    def tell(text):
        said.append(text)
        if "waiting" in text:
            waiting.set()

    with FileLock(tmp_path / ".toy.lock"):
        thread = threading.Thread(
            target=install, args=(source, tmp_path, Origin("")), kwargs={"tell": tell}
        )
        thread.start()
        assert waiting.wait(20)
        # Meanwhile the other one, whose lock this is, has finished.
        for name in ("images/a.png", "labels/a.txt"):
            path = tmp_path / "toy" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("done")
    thread.join(20)
    assert not thread.is_alive()
    assert publisher.asked == []


def test_without_a_published_checksum_the_first_one_counts(publisher, source, tmp_path):
    images = replace(source.archives[0], sha256=None, checked_by="")
    source = replace(source, archives=(images, source.archives[1]))
    folder = install(source, tmp_path, Origin(""))
    assert json.loads((folder / MARKER).read_text())["archives"][0]["checked"] == "its size"
    note = tmp_path / ".images.zip.sha256"
    assert note.read_text() == f"{hashlib.sha256(IMAGES).hexdigest()}  images.zip\n"
    folder.rename(tmp_path / "away")
    install(source, tmp_path, Origin(""))
    (tmp_path / "toy").rename(tmp_path / "away2")
    other = zipped({"v1/images/a.png": "A", "v1/images/c.png": "B"})
    assert len(other) == len(IMAGES)
    publisher.files["images.zip"] = other
    with pytest.raises(DatasetError, match=r"that of the first download, kept in .*\.sha256, is"):
        install(source, tmp_path, Origin(""))


def test_a_data_set_read_from_others(source, tmp_path):
    both = Source(name="both", licence="CC0", home="", needs=(source,))
    assert not both.is_in(tmp_path)
    assert both.size == len(IMAGES) + len(LABELS)
    assert install(both, tmp_path, Origin("")) == tmp_path
    assert both.is_in(tmp_path)
    assert not (tmp_path / "both").exists()


def test_locate(source, tmp_path, monkeypatch):
    monkeypatch.setenv("LOSSBENCH_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    get = rf"get it with `python3 run\.py download toy --data {tmp_path}`"
    with pytest.raises(DatasetError, match=rf"'toy' is not in the data folder {tmp_path}; {get}"):
        locate(source)
    needed = "'more' needs 'toy', which is not in the data folder .*download more --data"
    with pytest.raises(DatasetError, match=needed):
        locate(source, wanted="more")
    (tmp_path / "toy").mkdir()
    with pytest.raises(DatasetError, match=rf"toy lacks images/\*\.png, labels; move .* {get}"):
        locate(source)
    with pytest.raises(DatasetError, match=r"root 'toy': toy lacks .*, so it is no 'toy'"):
        locate(source, "toy")
    with pytest.raises(DatasetError, match="root 'elsewhere' is not a folder"):
        locate(source, "elsewhere")
    (tmp_path / "toy").rmdir()
    install(source, tmp_path, Origin(""))
    assert locate(source) == tmp_path / "toy"
    assert locate(source, str(tmp_path / "toy")) == tmp_path / "toy"


def test_locate_with_or_without_the_folder_around_the_files(source, tmp_path):
    source = replace(source, inner="deep/er")
    folder = tmp_path / "mine" / "deep" / "er"
    (folder / "labels").mkdir(parents=True)
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_text("A")
    assert locate(source, str(tmp_path / "mine")) == folder
    assert locate(source, str(folder)) == folder


def test_the_command_names_the_folder_unless_it_is_the_default(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("LOSSBENCH_DATA", raising=False)
    assert command("toy") == "python3 run.py download toy"
    monkeypatch.setenv("LOSSBENCH_DATA", "/a b")
    assert command("toy") == "python3 run.py download toy --data '/a b'"


@pytest.mark.parametrize("root", ["bccd/BCCD", "dsb2018/stage1_train", "bccd"])
def test_a_root_that_a_download_would_make(tmp_path, monkeypatch, root):
    monkeypatch.setenv("LOSSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    name = root.split("/")[0]
    with pytest.raises(DatasetError, match="is not a folder") as caught:
        resolve_root(root)
    get = f"; get '{name}' with `python3 run.py download {name} --data {tmp_path / 'data'}`"
    assert str(caught.value).endswith(get)
    (tmp_path / "data" / name).mkdir(parents=True)  # fetched, so fetching it brings nothing
    with pytest.raises(DatasetError, match=r"names$"):
        resolve_root(f"{root}/wrong")


@pytest.mark.parametrize("root", ["mine/bccd", "voc0712", "coco", "nothing", "/no/bccd"])
def test_other_roots_get_no_command(tmp_path, monkeypatch, root):
    monkeypatch.setenv("LOSSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"names$"):
        resolve_root(root)


def test_every_known_source_is_complete():
    sources = known_sources()
    assert set(sources) == {
        "bccd",
        "coco2017",
        "dsb2018",
        "oxford_pet",
        "penn_fudan",
        "voc0712",
        "voc2007",
        "voc2012",
    }
    names = [a.file_name for s in sources.values() for a in s.archives]
    assert len(names) == len(set(names))  # a mirror holds all of them in one folder
    for name, source in sources.items():
        assert source.name == name
        assert source.licence
        assert source.home.startswith("http")
        assert bool(source.archives) != bool(source.needs)
        for archive in source.archives:
            assert archive.url.startswith("http")
            assert (archive.sha256 is None) == (name == "penn_fudan")
            assert archive.sha256 is None or (len(archive.sha256) == 64 and archive.checked_by)
