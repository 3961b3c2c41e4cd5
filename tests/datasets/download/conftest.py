"""A local server of archives, in the way of a publisher's."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest


@dataclass
class Publisher:
    """Serves files from memory.

    Attributes:
        files: what is served, by path without the slash.
        ranges: whether parts of a file can be asked for.
        cuts: after how many bytes each of the next answers ends too early.
        statuses: errors that the next answers are instead.
        asked: path and range of every request.
        sent: bytes of content sent in each answer.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    address: str = ""


def _handler(publisher: Publisher) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            publisher.asked.append((self.path[1:], wanted))
            if publisher.statuses:
                self.send_error(publisher.statuses.pop(0))
                return
            content = publisher.files.get(self.path[1:])
            if content is None:
                self.send_error(404)
                return
            start = 0
            if wanted and publisher.ranges:
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
                if start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                span = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.send_header("Content-Range", span)
            else:
                self.send_response(200)
            rest = content[start:]
            self.send_header("Content-Length", str(len(rest)))
            self.end_headers()
            rest = rest[: publisher.cuts.pop(0)] if publisher.cuts else rest
            publisher.sent.append(len(rest))
            with contextlib.suppress(ConnectionError):  # who asked may have seen enough
                self.wfile.write(rest)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    served = Publisher()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(served))
    served.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
