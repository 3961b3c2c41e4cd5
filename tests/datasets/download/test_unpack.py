"""Archives, kind and hostile."""

import io
import stat
import tarfile
import zipfile

import pytest

from datasets.download import unpack as module
from datasets.download.unpack import unpack
from datasets.sample import DatasetError


def make_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


MAKERS = [make_zip, make_tar]


def found(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("make", [*MAKERS, lambda p, f: make_tar(p, f, "w")])
def test_files_and_folders(tmp_path, make):
    archive = make(tmp_path / "a", {"top/a.txt": b"A", "top/deep/er/b.txt": b"B", "c": b""})
    told = []
    unpack(archive, tmp_path / "out", progress=lambda *news: told.append(news))
    assert found(tmp_path / "out") == {"top/a.txt": b"A", "top/deep/er/b.txt": b"B", "c": b""}
    assert told == [("unpacking a", 1, 0), ("unpacking a", 2, 0), ("unpacking a", 2, 0)]


@pytest.mark.parametrize("make", MAKERS)
def test_leading_folders_can_be_left_out(tmp_path, make):
    archive = make(tmp_path / "a", {"v1/a.txt": b"A", "v1/deep/b.txt": b"B", "stray": b"-"})
    unpack(archive, tmp_path / "out", strip=1)
    assert found(tmp_path / "out") == {"a.txt": b"A", "deep/b.txt": b"B"}


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil", "a\\..\\evil", "C:/evil", "C:evil"]
)
def test_paths_that_lead_out(tmp_path, make, name):
    archive = make(tmp_path / "a", {"good": b"1", name: b"evil"})
    with pytest.raises(DatasetError, match=r"/a: refused, as '.*evil' leads out of the folder"):
        unpack(archive, tmp_path / "deep" / "out")
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]


def test_a_stripped_path_cannot_climb_either(tmp_path):
    with pytest.raises(DatasetError, match="leads out"):
        unpack(make_tar(tmp_path / "a", {"v1/../../evil": b"x"}), tmp_path / "out", strip=1)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_file(tmp_path, kind):
    with tarfile.open(tmp_path / "a", "w") as archive:
        info = tarfile.TarInfo("door")
        info.type, info.linkname = kind, "/etc"
        archive.addfile(info)
    with pytest.raises(DatasetError, match="'door' is a link or a device"):
        unpack(tmp_path / "a", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_links_in_a_zip_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        info = zipfile.ZipInfo("door")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc")
        archive.writestr("door/passwd", "evil")
    with pytest.raises(DatasetError, match="'door' is a link or a device"):
        unpack(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize("make", MAKERS)
def test_bombs(tmp_path, make):
    archive = make(tmp_path / "a", {"zeros": bytes(30_000_000)})
    assert archive.stat().st_size < 40_000
    with pytest.raises(DatasetError, match=r"unpacks to more than 20 times its size"):
        unpack(archive, tmp_path / "out")
    written = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*"))
    assert written <= 20 * archive.stat().st_size + (1 << 20)


def test_a_bomb_of_many_small_parts(tmp_path):
    archive = make_zip(tmp_path / "a", {f"{i}": bytes(500_000) for i in range(20)})
    with pytest.raises(DatasetError, match="more than 20 times"):
        unpack(archive, tmp_path / "out")


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_FILES", 3)
    archive = make_zip(tmp_path / "a", {f"{i}": b"" for i in range(4)})
    with pytest.raises(DatasetError, match="holds more than 3 files"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("make", MAKERS)
def test_damaged_archives(tmp_path, make):
    noise = bytes((i * i * 7919 >> 5) & 255 for i in range(50_000))
    archive = make(tmp_path / "a", {"a": noise, "b": noise})
    content = bytearray(archive.read_bytes())
    middle = len(content) // 2
    content[middle - 2000 : middle] = bytes(2000)
    archive.write_bytes(content)
    with pytest.raises(DatasetError, match=r"/a: the archive is damaged"):
        unpack(archive, tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"<html>not here</html>"])
def test_no_archive_at_all(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DatasetError, match="the archive is damaged"):
        unpack(tmp_path / "a", tmp_path / "out")


@pytest.mark.parametrize(
    ("make", "name", "kind"),
    [(make_zip, "a.zip", "ZIP"), (make_tar, "a.tar.gz", "tar"), (make_tar, "a.tar", "tar")],
)
def test_the_name_tells_what_a_damaged_archive_should_be(tmp_path, make, name, kind):
    archive = make(tmp_path / name, {"a": b"1" * 50})
    archive.write_bytes(b"\0" * 20 + archive.read_bytes()[20:60])
    with pytest.raises(DatasetError) as caught:
        unpack(archive, tmp_path / "out")
    said = f"the archive is damaged (it is no {kind} file, or not a whole one)"
    assert str(caught.value) == f"{archive}: {said}"


def test_an_encrypted_zip_file(tmp_path):
    archive = make_zip(tmp_path / "a", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    archive.write_bytes(content)
    with pytest.raises(DatasetError, match="'a' is encrypted"):
        unpack(archive, tmp_path / "out")


def test_a_name_that_is_file_and_folder(tmp_path):
    archive = make_tar(tmp_path / "a", {"a": b"1", "a/b": b"2"})
    with pytest.raises(DatasetError, match="a file and a folder at once"):
        unpack(archive, tmp_path / "out")
