"""A connection to a place that was checked, which is cut when its time is up.

It goes through no proxy. Timeouts of sockets start anew with every byte, so a server could hold a
worker for as long as it likes by sending one from time to time; cutting does not depend on what
the server does.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import BaseHTTPResponse

from beatlake.sound.addresses import Place, Target


class Line:
    """One request's connection, as a context: it is closed at the end, whatever happened.

    Args:
        to: what is asked.
        places: what its host resolves to, checked.
        connect_timeout_s: for each of the places.
        read_timeout_s: for each wait for bytes.
        left_s: after this time it is cut.
        tls: how certificates are checked, for https.
    """

    def __init__(
        self,
        to: Target,
        places: Sequence[Place],
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        left_s: float,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._places = places
        self._connect_timeout_s = connect_timeout_s
        self._ends = time.monotonic() + left_s
        self._watch = threading.Timer(max(left_s, 0), self.cut)
        self._watch.daemon = True
        self._lock = threading.Lock()
        self._cable: socket.socket | None = None
        self.is_cut = False
        self._connection: HTTPConnection
        if to.scheme == "https":
            self._connection = _Encrypted(self, to, read_timeout_s, tls)
        else:
            self._connection = _Plain(self, to, read_timeout_s)

    def __enter__(self) -> Line:
        self._watch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._watch.cancel()
        self._connection.close()
        with self._lock:
            if self._cable is not None:
                self._cable.close()
                self._cable = None

    def get(self, path: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """The answer, its body unread and as it was sent."""
        self._connection.request(
            "GET", path, headers=headers, preload_content=False, decode_content=False
        )
        return self._connection.getresponse()

    @property
    def is_connected(self) -> bool:
        """Whether one of the places has answered."""
        return self._cable is not None

    def cut(self) -> None:
        """End it now, from whichever thread: whoever reads from it gets an error or an end."""
        with self._lock:
            self.is_cut = True
            if self._cable is not None:
                # The other side may have ended it already.
                with suppress(OSError):
                    self._cable.shutdown(socket.SHUT_RDWR)

    def connect(self) -> socket.socket:
        """A socket that is connected to the first of the places that answers.

        Raises:
            OSError: none does.
        """
        trouble: OSError = TimeoutError("no time is left")
        for family, place in self._places:
            left_s = self._ends - time.monotonic()
            if left_s <= 0 or self.is_cut:
                break
            made = socket.socket(family, socket.SOCK_STREAM)
            try:
                made.settimeout(min(self._connect_timeout_s, left_s))
                made.connect(place)
                self._hold(made)
            except OSError as error:
                made.close()
                trouble = error
            else:
                return made
        raise trouble

    def _hold(self, made: socket.socket) -> None:
        """Keep a second handle of the socket: encryption takes the first one over."""
        with self._lock:
            if self.is_cut:
                raise TimeoutError("no time is left")
            self._cable = made.dup()


class _Plain(HTTPConnection):
    def __init__(self, line: Line, to: Target, timeout_s: float) -> None:
        super().__init__(to.host, to.port, timeout=timeout_s)
        self._line = line

    def _new_conn(self) -> socket.socket:
        made = self._line.connect()
        made.settimeout(self.timeout)
        return made


class _Encrypted(HTTPSConnection):
    def __init__(
        self, line: Line, to: Target, timeout_s: float, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(to.host, to.port, timeout=timeout_s, ssl_context=tls)
        self._line = line

    def _new_conn(self) -> socket.socket:
        made = self._line.connect()
        made.settimeout(self.timeout)
        return made
