"""What a data set is to the rest of the project, and the register of all of them.

A new data set is one new file in this folder::

    @register("my_data")
    @dataclass
    class MyData(Dataset):
        '''One line that `run.py list datasets` shows.'''
        root: str
        ...

Its fields are its options in the experiment file; their types are checked there.
"""

from __future__ import annotations

import os
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

import platformdirs

from datasets.sample import DatasetError, Sample

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
DATA_VARIABLE = "LOSSBENCH_DATA"

ADDED = {"added": True}
"""Metadata of a field that came after results were published: at its default it is not part of
a run's configuration, so that earlier runs stay what they are."""

DATASETS: dict[str, type[Dataset]] = {}
T = TypeVar("T", bound="type[Dataset]")


def register(name: str) -> Callable[[T], T]:
    """Class decorator: make a data set known to experiment files as ``name``."""

    def add(cls: T) -> T:
        if name in DATASETS:
            raise ValueError(f"two data sets are registered as '{name}'")
        DATASETS[name] = cls
        return cls

    return add


class Dataset(ABC):
    """A source of samples. Subclasses are dataclasses whose fields are the options.

    Construction is cheap: it lists files and reads lists of names, and decodes no image. It
    raises :class:`DatasetError` where the folder does not have the layout.
    """

    tasks: frozenset[str]
    """What its annotation serves: ``"detection"`` (boxes), ``"segmentation"`` (a class a pixel),
    ``"instance"`` (a mask for every box)."""

    classes: list[str]
    """Names of the foreground classes; a label is an index into this list."""

    @abstractmethod
    def ids(self, split: Split) -> list[str]:
        """Names of the samples of one split, in a fixed order."""

    @abstractmethod
    def load(self, sample_id: str) -> Sample:
        """Decode one sample at full size; raise :class:`DatasetError` naming the bad file.

        The sample is as the files have it, for any split; see :meth:`load_for`.
        """

    def load_for(self, sample_id: str, split: Split) -> Sample:
        """:meth:`load`, for data sets whose training annotation differs (label noise)."""
        return self.load(sample_id)

    @abstractmethod
    def files(self, sample_id: str) -> list[Path]:
        """The files that this sample is read from; empty for generated data.

        A change of size or times of any of them makes a cached copy stale.
        """

    def problems(self) -> list[str]:
        """Every fault that reading the whole data set meets, one line each, none raised."""
        found: list[str] = []
        for sample_id in dict.fromkeys(i for split in SPLITS for i in self.ids(split)):
            try:
                sample = self.load(sample_id)
            except DatasetError as error:
                found.append(str(error))
            else:
                if sample.dropped:
                    found.append(f"{sample.path}: {sample.dropped} box(es) without width or height")
        return found


def default_data_folder() -> Path:
    """Where data sets lie if nothing else is said: in the user's cache folder."""
    return platformdirs.user_cache_path("lossbench", appauthor=False) / "datasets"


def data_folder() -> Path:
    """The folder that ``LOSSBENCH_DATA`` names, else the default one; it need not exist."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else default_data_folder()


def command(name: str) -> str:
    """What to type to fetch a data set into the data folder that is in use."""
    data = data_folder()
    elsewhere = "" if data == default_data_folder() else f" --data {shlex.quote(str(data))}"
    return f"python3 run.py download {name}{elsewhere}"


def resolve_root(root: str) -> Path:
    """The folder that ``root`` means: as given, else below :func:`data_folder`.

    Raises:
        DatasetError: neither is a folder; the message says where was looked, and by which
            command a data set that is known by name gets there.
    """
    try:
        tried = [Path(root).expanduser()]
    except RuntimeError as error:
        raise DatasetError(f"root '{root}': {error}") from None
    if not tried[0].is_absolute():
        tried.append(data_folder() / root)
    for path in tried:
        if path.is_dir():
            return path
    places = ", ".join(str(path.absolute()) for path in tried)
    raise DatasetError(
        f"root '{root}' is not a folder (looked for {places}); relative folders are looked for "
        f"in the current folder, then in the one that --data or {DATA_VARIABLE} names"
        f"{_fetched_by(root)}"
    )


def _fetched_by(root: str) -> str:
    """For a missing root below the folder of a data set that can be fetched: how."""
    name = next(iter(Path(root).parts), "")
    source = getattr(DATASETS.get(name), "source", None)
    # One without archives is read from the folders of others.
    if source is None or not source.archives or (data_folder() / name).exists():
        return ""
    return f"; get '{name}' with `{command(name)}`"
