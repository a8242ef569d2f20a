"""A real HTTP server on this machine that does to its clients whatever a test wants."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

#: Does the whole answer; gets the handler and how many times the path was asked before.
Answer = Callable[["Handler", int], None]


@dataclass
class Asked:
    """One request as the server saw it, with its own clock."""

    path: str
    began: float
    headers: dict[str, str]
    ended: float = 0.0


@dataclass
class FileServer:
    """The server, what it answers by path without query, and what it was asked."""

    base: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    #: Set at the end: answers that stall wait for it.
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def at(self, path: str, answer: Answer) -> str:
        """Answer so at a path; gives its address."""
        self.answers[path] = answer
        return self.base + path

    def times(self, path: str) -> int:
        """How often a path was asked for."""
        return self.counts()[path]

    def counts(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(urlsplit(asked.path).path for asked in self.asked)


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the answer of its path."""

    protocol_version = "HTTP/1.1"
    server: Any

    def do_GET(self) -> None:
        known: FileServer = self.server.known
        path = urlsplit(self.path).path
        asked = Asked(self.path, time.monotonic(), dict(self.headers.items()))
        with known.lock:
            before = known.times(path)
            known.asked.append(asked)
        self.close_connection = True
        try:
            known.answers[path](self, before)
        except (BrokenPipeError, ConnectionResetError):
            pass  # The client has had enough.
        finally:
            asked.ended = time.monotonic()

    def head(self, status: int, **headers: object) -> None:
        """Status line and headers; underscores of names are hyphens."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def whole(body: bytes, status: int = 200, said: str = "audio/mpeg", **headers: object) -> Answer:
    """An answer as it ought to be."""

    def answer(handler: Handler, before: int) -> None:
        handler.head(status, Content_Type=said, Content_Length=len(body), **headers)
        handler.wfile.write(body)

    return answer


def status(code: int, **headers: object) -> Answer:
    """An answer without a file."""
    return whole(b"no", code, "text/plain", **headers)


def then(*answers: Answer) -> Answer:
    """One answer after the other, the last for ever."""

    def answer(handler: Handler, before: int) -> None:
        answers[min(before, len(answers) - 1)](handler, before)

    return answer


def endless(chunk: bytes, every_s: float = 0.0, said: str = "audio/mpeg") -> Answer:
    """A body without length or end."""

    def answer(handler: Handler, before: int) -> None:
        handler.head(200, Content_Type=said)
        while not handler.server.known.over.wait(every_s):
            handler.wfile.write(chunk)

    return answer


def silent(handler: Handler, before: int) -> None:
    """No answer, or no more of it."""
    handler.server.known.over.wait()


@contextmanager
def serving(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[FileServer]:
    """A server for the block."""
    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    known = FileServer(f"http{'s' if tls else ''}://{host}:{server.server_address[1]}")
    server.known = known  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield known
    finally:
        known.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
