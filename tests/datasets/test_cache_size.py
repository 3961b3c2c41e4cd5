"""Caches of many files, built by many processes, read by workers that stay small."""

import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from datasets.base import Dataset
from datasets.cache import prepare
from datasets.cache_build import default_processes
from datasets.cache_files import OPEN_SHARDS
from datasets.mask_folder import MaskFolder
from datasets.sample import DatasetError, Sample
from datasets.shapes import Shapes

ROOT = Path(__file__).parents[2]


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the one that holds times."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "checks.json"}


@pytest.fixture
def small_shards(monkeypatch):
    """Seven images of 32 x 32 pixels a file."""
    monkeypatch.setattr("datasets.cache_files.SHARD_BYTES", 7 * 32 * 32 * 3 + 5)


def test_pixels_are_divided_among_files(tmp_path, small_shards):
    dataset = Shapes(train=150, size=32)
    split = prepare(dataset, "train", (32, 32), tmp_path, processes=1)
    files = sorted(split.folder.glob("images-*.bin"))
    assert len(files) == 22  # 21 of 7 and one of 3
    assert [path.stat().st_size for path in files] == [7 * 3072] * 21 + [3 * 3072]
    # 21 masks take as many bytes as 7 images.
    assert len(list(split.folder.glob("semantic-*.bin"))) == 8
    views = [split.image(index) for index in range(150)]  # more files than are kept open
    assert len(files) > OPEN_SHARDS
    for index in (149, 0, 6, 7, 146, 147, -1):
        sample = dataset.load(split.ids[index])
        np.testing.assert_array_equal(split.image(index), sample.image)
        np.testing.assert_array_equal(views[index], sample.image)
        np.testing.assert_array_equal(split.semantic(index), sample.semantic)
    with pytest.raises(IndexError, match="sample 150 of a split of 150"):
        split.image(150)


def test_few_files_are_mapped_at_once(tmp_path, small_shards):
    split = prepare(Shapes(train=150, size=32), "train", (32, 32), tmp_path, processes=1)
    for index in range(150):
        split.image(index)
    mapped = [path for path in psutil.Process().memory_maps() if "images-" in path.path]
    assert 0 < len([path for path in mapped if str(split.folder) in path.path]) <= OPEN_SHARDS


def test_two_processes_write_the_same_bytes_as_one(tmp_path, small_shards):
    dataset = Shapes(train=70, size=32)
    steps: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        steps.append((done, total))

    one = prepare(dataset, "train", (32, 32), tmp_path / "one", processes=1)
    # Fresh processes know nothing of the patched size: the layout travels with the task.
    two = prepare(dataset, "train", (32, 32), tmp_path / "two", note, processes=2)
    assert contents(one.folder) == contents(two.folder)
    assert steps == [(done, 70) for done in range(1, 71)]


def test_how_many_processes(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    monkeypatch.setattr("os.process_cpu_count", lambda: 64, raising=False)
    assert [default_processes(n) for n in (1, 399, 400, 800, 10**6)] == [1, 1, 2, 4, 4]
    monkeypatch.setattr("os.process_cpu_count", lambda: 3, raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    assert default_processes(10**6) == 3


def test_the_first_bad_sample_is_named_by_many_processes_too(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        for number in range(90):
            picture = Image.fromarray(np.zeros((8, 8), np.uint8))
            picture.save(tmp_path / kind / f"{number:03}.png")
    dataset = MaskFolder(
        root=str(tmp_path), images="images", masks="masks", fractions=[0.8, 0.1, 0.1]
    )
    bad = [dataset.ids("train")[index] for index in (20, 40)]
    for name in bad:
        (tmp_path / "images" / f"{name}.png").write_text("no image")
    for processes in (1, 2):
        with pytest.raises(DatasetError, match=rf"{bad[0]}\.png: not an image"):
            prepare(dataset, "train", (8, 8), tmp_path / "cache", processes=processes)
    left = [path.suffix for path in (tmp_path / "cache").iterdir()]
    assert left in ([], [".lock"])


DYING = """
    import os, sys
    from dataclasses import dataclass
    from pathlib import Path
    from datasets.cache import prepare
    from datasets.sample import DatasetError
    from datasets.shapes import Shapes

    @dataclass
    class Dying(Shapes):
        def load(self, sample_id):
            if sample_id == "train-00030":
                os._exit(9)
            return super().load(sample_id)

    if __name__ == "__main__":
        try:
            prepare(Dying(train=64, size=32), "train", (32, 32), Path(sys.argv[1]), processes=2)
        except DatasetError as error:
            print(error)
"""


def run_script(folder: Path, text: str, *words: object) -> subprocess.Popen:
    script = folder / "script.py"
    script.write_text(textwrap.dedent(text))
    return subprocess.Popen(
        [sys.executable, str(script), *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_process_that_dies_is_one_error(tmp_path):
    script = run_script(tmp_path, DYING, tmp_path / "cache")
    assert "a process that decodes samples died" in script.communicate(timeout=120)[0]
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] in ([], [".lock"])


ENDLESS = """
    import sys
    from pathlib import Path
    from datasets.cache import prepare
    from datasets.shapes import Shapes

    def tell(done, total):
        if done == 1:
            print("begun", flush=True)

    if __name__ == "__main__":
        dataset = Shapes(train=1_000_000, size=32)
        prepare(dataset, "train", (32, 32), Path(sys.argv[1]), tell, processes=2)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_processes_end_with_the_builder_that_is_killed(tmp_path):
    builder = run_script(tmp_path, ENDLESS, tmp_path / "cache")
    assert builder.stdout is not None
    assert builder.stdout.readline() == "begun\n"
    workers = [
        child
        for child in psutil.Process(builder.pid).children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]
    assert len(workers) == 2
    builder.kill()
    builder.wait()
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert not alive


@dataclass
class Many(Dataset):
    """Any number of tiny samples, each with two objects and a long path."""

    count: int
    tasks = frozenset({"detection"})
    classes = ["a"]  # noqa: RUF012

    def ids(self, split):
        return [f"{number:060d}" for number in range(self.count)]

    def files(self, sample_id):
        return []

    def load(self, sample_id):
        image = np.full((8, 8, 3), int(sample_id) % 256, np.uint8)
        boxes = np.array([[0, 0, 4, 4], [2, 2, 8, 8]], np.float32)
        masks = np.ones((2, 8, 8), np.bool_)
        return Sample(sample_id, f"/some/where/{sample_id}", image, boxes, np.zeros(2, int), masks)


OWN_MEMORY = """
import gc, sys
import psutil
from pathlib import Path
from datasets.cached_split import CachedSplit

def own():
    gc.collect()
    memory = psutil.Process().memory_info()
    return memory.rss - memory.shared

CachedSplit(Path(sys.argv[1])).instances(0)
before = own()
split = CachedSplit(Path(sys.argv[2]))
for index in range(len(split)):
    assert split.image(index)[0, 0, 0] == index % 256
    assert len(split.boxes(index)) == len(split.labels(index)) == len(split.instances(index)) == 2
    assert split.path(index).endswith(split.ids[index])
print(own() - before)
"""


@pytest.mark.skipif(not hasattr(psutil.Process().memory_info(), "shared"), reason="Linux only")
def test_a_worker_does_not_grow_with_the_data_set(tmp_path):
    warm = prepare(Many(2), "train", (8, 8), tmp_path, processes=1).folder
    grown = {}
    for count in (300, 6_000):
        folder = prepare(Many(count), "train", (8, 8), tmp_path, processes=1).folder
        command = [sys.executable, "-c", OWN_MEMORY, str(warm), str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        grown[count] = int(done.stdout)
    # Ids and paths alone, as Python's texts in lists, would be 6,000 x (109 + 121 + 16) bytes.
    assert grown[6_000] - grown[300] < 600_000
