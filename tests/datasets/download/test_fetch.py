"""Fetching from a server that behaves well, and from one that does not."""

import hashlib
from dataclasses import replace

import pytest

from datasets.download.fetch import fetch, verify
from datasets.download.source import Archive
from datasets.sample import DatasetError

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
ARCHIVE = Archive(
    "http://nowhere.invalid/a.zip",
    len(CONTENT),
    hashlib.sha256(CONTENT).hexdigest(),
    "its publisher",
)


def get(publisher, folder, archive=ARCHIVE, **options):
    options.setdefault("pauses", (0.0, 0.0))
    return fetch(archive, f"{publisher.address}/a.zip", folder, **options)


def test_the_whole_file_in_one_request(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    told = []
    path, digest = get(publisher, tmp_path, progress=lambda *news: told.append(news))
    assert path.name == "a.zip"
    assert path.read_bytes() == CONTENT
    assert digest == ARCHIVE.sha256
    assert publisher.asked == [("a.zip", None)]
    assert told[-1] == ("a.zip", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_an_answer_cut_short_is_continued(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    publisher.cuts = [100_000, 300_000]
    path, _ = get(publisher, tmp_path)
    assert path.read_bytes() == CONTENT
    assert publisher.asked == [
        ("a.zip", None),
        ("a.zip", "bytes=100000-"),
        ("a.zip", "bytes=400000-"),
    ]
    assert sum(publisher.sent) == len(CONTENT)  # not a byte twice


def test_what_an_earlier_call_left_is_continued(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    publisher.cuts = [100_000, 0, 0]
    with pytest.raises(DatasetError, match=r"100,000 bytes have arrived, and the same command"):
        get(publisher, tmp_path)
    assert (tmp_path / "a.zip.part").stat().st_size == 100_000
    publisher.asked.clear()
    path, _ = get(publisher, tmp_path)
    assert publisher.asked == [("a.zip", "bytes=100000-")]
    assert path.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    publisher.ranges = False
    publisher.cuts = [100_000]
    path, _ = get(publisher, tmp_path)
    assert path.read_bytes() == CONTENT
    assert publisher.sent == [100_000, len(CONTENT)]


def test_a_server_that_always_ends_early_is_given_up(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    publisher.ranges = False
    publisher.cuts = [5_000] * 20
    with pytest.raises(DatasetError, match=r"the connection ended after 5,000 of 1,024,000 bytes"):
        get(publisher, tmp_path)
    assert len(publisher.asked) == 3  # one that brought something new, then one after each pause


def test_a_busy_server_is_asked_again_a_refusing_one_is_not(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    publisher.statuses = [503, 429]
    get(publisher, tmp_path)
    assert len(publisher.asked) == 3
    publisher.asked.clear()
    publisher.statuses = [503] * 9
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError, match="the server says 503"):
        get(publisher, tmp_path / "b")
    assert len(publisher.asked) == 3
    publisher.asked.clear()
    publisher.statuses = [403]
    (tmp_path / "c").mkdir()
    with pytest.raises(DatasetError, match=r"/a.zip: the server says 403"):
        get(publisher, tmp_path / "c")
    assert len(publisher.asked) == 1


def test_nobody_answers(tmp_path):
    with pytest.raises(DatasetError, match="refused"):
        fetch(ARCHIVE, "http://127.0.0.1:9/a.zip", tmp_path, pauses=(0.0,))


NO_ADDRESSES = (
    "a.zip",
    "foo://x/a.zip",
    "https://",
    "https:///a.zip",
    "http://h:no/a.zip",
    "http://[::1/a.zip",
    "http://127.0.0.1/a file.zip",
    f"http://{'a' * 70}.org/a.zip",
)


@pytest.mark.parametrize("url", NO_ADDRESSES)
def test_what_is_no_address_is_not_tried_again(tmp_path, url):
    said = []
    with pytest.raises(DatasetError) as caught:
        fetch(ARCHIVE, url, tmp_path, tell=said.append, pauses=(0.0,))
    assert str(caught.value).startswith(f"{url}: ")
    assert said == []


def test_a_further_try_is_told(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    publisher.statuses = [503]
    said = []
    get(publisher, tmp_path, tell=said.append)
    reason = "the server says 503 Service Unavailable; trying again in 0 s"
    assert said == [f"{publisher.address}/a.zip: {reason}"]


def test_a_wrong_checksum_from_the_start_is_final(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT[:-1] + b"!"
    with pytest.raises(DatasetError, match=rf"wrong checksum.*{ARCHIVE.sha256}.*its publisher"):
        get(publisher, tmp_path)
    assert len(publisher.asked) == 1
    assert not list(tmp_path.iterdir())


def test_a_part_of_another_version_is_thrown_away(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    (tmp_path / "a.zip.part").write_bytes(b"x" * 1000)
    path, _ = get(publisher, tmp_path)
    assert path.read_bytes() == CONTENT
    assert publisher.asked == [("a.zip", "bytes=1000-"), ("a.zip", None)]


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 5])
def test_a_part_that_is_wrong_and_no_shorter_is_fetched_anew(publisher, tmp_path, length):
    publisher.files["a.zip"] = CONTENT
    (tmp_path / "a.zip.part").write_bytes(b"x" * length)
    path, _ = get(publisher, tmp_path)
    assert path.read_bytes() == CONTENT


def test_a_kept_archive_is_checked_not_fetched(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT
    get(publisher, tmp_path)
    publisher.asked.clear()
    get(publisher, tmp_path)
    assert publisher.asked == []
    (tmp_path / "a.zip").write_bytes(b"x" * len(CONTENT))
    path, _ = get(publisher, tmp_path)
    assert path.read_bytes() == CONTENT


def test_another_size_is_noticed_before_it_is_fetched(publisher, tmp_path):
    publisher.files["a.zip"] = CONTENT + b"more"
    with pytest.raises(DatasetError, match=r"offers 1,024,004 bytes, but a.zip was .* 1,024,000"):
        get(publisher, tmp_path)
    assert (tmp_path / "a.zip.part").exists() is False


def test_unchecked(publisher, tmp_path):
    publisher.files["a.zip"] = b"another archive"
    publisher.cuts = [7]
    path, digest = get(publisher, tmp_path, check=False)
    assert path.read_bytes() == b"another archive"
    assert digest == hashlib.sha256(b"another archive").hexdigest()
    path.rename(tmp_path / "a.zip.part")
    publisher.asked.clear()
    assert get(publisher, tmp_path, check=False)[1] == digest  # the server says there is no more
    assert publisher.asked == [("a.zip", "bytes=15-")]
    (tmp_path / "a.zip").rename(tmp_path / "a.zip.part")
    publisher.files["a.zip"] = b"shorter"
    path, _ = get(publisher, tmp_path, check=False)
    assert path.read_bytes() == b"shorter"


def test_verify(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"abc")
    # The SHA-256 of "abc" is the first example of the standard (FIPS 180-2, B.1).
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    archive = Archive("http://x/a.zip", 3, known, "FIPS")
    assert verify(path, archive) == known
    assert verify(path, replace(archive, sha256=None)) == known
    with pytest.raises(DatasetError, match=r"a.zip: 3 bytes, but a.zip was published with 4"):
        verify(path, replace(archive, size=4, sha256=None))
    with pytest.raises(DatasetError, match="wrong checksum"):
        verify(path, replace(archive, sha256="0" * 64))
    assert verify(path, replace(archive, sha256="0" * 64, size=1), check=False) == known
