"""Where a data set is published, and where its files lie once they are here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datasets.base import command, data_folder, resolve_root
from datasets.sample import DatasetError


@dataclass(frozen=True)
class Archive:
    """One file that a publisher offers.

    Attributes:
        url: where it is published.
        size: in bytes.
        sha256: as stated by ``checked_by``; None where nobody states one. Then the size is
            checked, and the checksum of the first download is kept for later ones.
        checked_by: who states the checksum.
        name: what the file is called in a folder or on a mirror.
        into: folder of the data set that the archive is unpacked into.
        strip: number of leading folders left out of the names inside.
    """

    url: str
    size: int
    sha256: str | None = None
    checked_by: str = ""
    name: str = ""
    into: str = ""
    strip: int = 0

    @property
    def file_name(self) -> str:
        return self.name or self.url.rsplit("/", 1)[1]


@dataclass(frozen=True)
class Source:
    """A data set that can be fetched by name.

    Attributes:
        name: what experiments and ``run.py download`` call it, and its folder's name.
        archives: what it consists of.
        needs: other sources that it is read from; it then has no archives of its own.
        inner: folder inside that the reader starts from.
        layout: patterns below ``inner``, each of which must match something.
        licence: under which it may be used.
        home: page that describes it.
    """

    name: str
    licence: str
    home: str
    archives: tuple[Archive, ...] = ()
    needs: tuple[Source, ...] = ()
    inner: str = ""
    layout: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes to fetch."""
        return sum(a.size for a in self.archives) + sum(source.size for source in self.needs)

    def missing(self, folder: Path) -> list[str]:
        """What the layout asks for and ``folder``, the one the reader starts from, lacks."""
        return [
            pattern for pattern in self.layout if next(iter(folder.glob(pattern)), None) is None
        ]

    def is_in(self, data: Path) -> bool:
        """Whether the data folder holds the data set, fetched or put there by hand."""
        if self.needs:
            return all(source.is_in(data) for source in self.needs)
        folder = data / self.name / self.inner
        return folder.is_dir() and not self.missing(folder)


def locate(source: Source, root: str = "", wanted: str = "") -> Path:
    """The folder that the reader of a data set starts from.

    Args:
        source: what is looked for.
        root: folder that the user named; empty: the one in the data folder. It may hold the
            files themselves or the folder that the archive has around them.
        wanted: name of the data set that the source is a part of, for the message.

    Raises:
        DatasetError: it is not there; the message says which command gets it.
    """
    outer = resolve_root(root) if root else data_folder() / source.name
    inner = outer / source.inner
    for folder in (inner, outer):
        if folder.is_dir() and not source.missing(folder):
            return folder
    lacking = ", ".join(source.missing(inner))
    if root:
        raise DatasetError(f"root '{root}': {inner} lacks {lacking}, so it is no '{source.name}'")
    fetch = f"`{command(wanted or source.name)}`"
    lacked = f"'{wanted}' needs '{source.name}', which" if wanted else f"'{source.name}'"
    if outer.is_dir():
        raise DatasetError(f"{inner} lacks {lacking}; move {outer} away and get it with {fetch}")
    raise DatasetError(
        f"{lacked} is not in the data folder {data_folder()}; get it with {fetch}, or name "
        "its folder with the option 'root'"
    )
