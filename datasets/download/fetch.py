"""Fetching one archive over HTTP: resumed, retried, checked."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

from datasets.download.source import Archive
from datasets.sample import DatasetError

Progress = Callable[[str, int, int], None]
"""Told a file's name, the bytes that are here, and how many there will be."""

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try; a try that brought something new starts over."""

SCHEMES = ("http", "https")

_TIMEOUT = 60.0  # seconds without a byte
_BLOCK = 1 << 18
_BUSY = frozenset({408, 425, 429})  # with 5xx: statuses that may be others in a moment


def check_address(url: str) -> None:
    """Refuse what no server can be asked for, however often it is tried.

    Raises:
        DatasetError: the address has no known scheme, no host, or cannot be taken apart.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        whole = parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that is not closed
        whole = False
    if not whole:
        raise DatasetError(
            f"{url}: is not an address to fetch from; expected http://HOST/... or https://HOST/..."
        )


class _Interrupted(Exception):
    """The connection ended before the file did."""


_FAULTS: tuple[type[Exception], ...] = (
    urllib.error.URLError,
    http.client.HTTPException,
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
    _Interrupted,
)
"""What a connection can fail with; other OSErrors are the disk's."""


def fetch(
    archive: Archive,
    url: str,
    folder: Path,
    *,
    progress: Progress | None = None,
    tell: Callable[[str], None] = lambda text: None,
    check: bool = True,
    pauses: Sequence[float] = PAUSES,
) -> tuple[Path, str]:
    """Bring an archive into ``folder``, continuing what an earlier call left there.

    What has arrived lies in ``NAME.part``; it becomes ``NAME`` once it is whole and checked.
    A part that turns out wrong is fetched once more from its start, as it may be the mixture
    of two versions.

    Args:
        archive: what to expect.
        url: where to fetch it from.
        folder: an existing folder.
        progress: called as bytes arrive.
        tell: told in a sentence why there is a pause before a further try.
        check: whether size and checksum must be the published ones.
        pauses: seconds to wait before each further try.

    Returns:
        Path of the file and its SHA-256.

    Raises:
        DatasetError: the address is none, the server refuses or cannot be reached, or the file
            is not the one that was published.
    """
    check_address(url)
    target = folder / archive.file_name
    part = folder / f"{archive.file_name}.part"
    if target.is_file():
        os.replace(target, part)  # kept by an earlier call; checked again as if it arrived now
    resumed = part.exists()
    while True:
        _fill(part, archive, url, progress, tell, check, pauses)
        try:
            digest = verify(part, archive, check=check)
        except DatasetError:
            part.unlink()
            if not resumed:
                raise
            resumed = False
        else:
            os.replace(part, target)
            return target, digest


def verify(path: Path, archive: Archive, *, check: bool = True) -> str:
    """The SHA-256 of a file, which must have the published size and checksum.

    Raises:
        DatasetError: it has not, and ``check`` is set.
    """
    size = path.stat().st_size
    if check and size != archive.size:
        raise DatasetError(
            f"{path}: {size:,} bytes, but {archive.file_name} was published with {archive.size:,}"
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if check and archive.sha256 is not None and found != archive.sha256:
        raise DatasetError(
            f"{path}: wrong checksum: the file's SHA-256 is {found}, but {archive.sha256} is "
            f"published (by {archive.checked_by})"
        )
    return found


def _fill(
    part: Path,
    archive: Archive,
    url: str,
    progress: Progress | None,
    tell: Callable[[str], None],
    check: bool,
    pauses: Sequence[float],
) -> None:
    """Append to ``part`` until it is whole, with further tries where the connection fails."""
    reached = _size(part)
    failures = 0
    while True:
        try:
            _append(part, archive, url, progress, check)
            return
        except _FAULTS as error:
            reason = _reason(error, url)
        except ValueError as error:
            raise DatasetError(f"{url}: is not an address to fetch from ({error})") from None
        # A server that ends every answer early must not be asked for ever.
        failures = 0 if _size(part) > reached else failures
        reached = max(reached, _size(part))
        if failures == len(pauses):
            raise DatasetError(
                f"{url}: {reason}; {reached:,} bytes have arrived, and the same command "
                "continues from there"
            )
        tell(f"{url}: {reason}; trying again in {pauses[failures]:g} s")
        time.sleep(pauses[failures])
        failures += 1


def _reason(error: Exception, url: str) -> str:
    """What went wrong; :class:`DatasetError` where another try would end the same way."""
    cause = getattr(error, "reason", None)
    text = str(cause or error) or type(error).__name__
    final = isinstance(cause, ssl.SSLCertVerificationError) or isinstance(
        error, http.client.InvalidURL
    )
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        text = f"the server says {error.code} {error.reason}"
        final = error.code < 500 and error.code not in _BUSY
    if final:
        raise DatasetError(f"{url}: {text}")
    return text


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _append(part: Path, archive: Archive, url: str, progress: Progress | None, check: bool) -> None:
    """One request: what follows the bytes that are here, or all where the server has no ranges."""
    here = _size(part)
    if check and here >= archive.size:
        return  # whole, or too long; which of both is for the checksum to say
    headers = {"User-Agent": "lossbench", "Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    try:
        response = urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT
        )
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()  # the range begins at or behind the end: there is nothing to add
        if (error.headers.get("Content-Range") or "") != f"bytes */{here}":
            part.unlink()
            raise _Interrupted(
                "the server has a shorter file than the part fetched so far"
            ) from None
        return
    with response:
        start = here if _continues(response, here) else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length is not None else archive.size
        if check and total != archive.size:
            raise DatasetError(
                f"{url}: the server offers {total:,} bytes, but {archive.file_name} was published "
                f"with {archive.size:,}"
            )
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            done = _copy(response, file, start, total, archive.file_name, progress)
        if length is not None and done < total:
            raise _Interrupted(f"the connection ended after {done:,} of {total:,} bytes")


def _continues(response: Any, here: int) -> bool:
    """Whether the answer begins where the part ends."""
    given = response.headers.get("Content-Range") or ""
    return bool(response.status == 206 and given.startswith(f"bytes {here}-"))


def _copy(
    response: IO[bytes],
    file: IO[bytes],
    done: int,
    total: int,
    name: str,
    progress: Progress | None,
) -> int:
    while block := response.read(_BLOCK):
        file.write(block)
        done += len(block)
        if progress is not None:
            progress(name, done, total)
    return done
