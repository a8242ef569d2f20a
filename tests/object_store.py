"""An object store of one bucket, read only, on this machine: as much of S3 as a reader asks for."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

STAMP = "2024-01-01T00:00:00.000Z"


@contextmanager
def object_store(objects: dict[str, bytes]) -> Iterator[str]:
    """Serves the objects of bucket `lake`; gives what follows `s3://lake/...` in an address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            key = address.path.removeprefix("/lake").lstrip("/")
            if not key:
                listing = self.listing(parse_qs(address.query))
                self.answer(200, listing, {"Content-Type": "application/xml"})
            elif key not in objects:
                self.answer(404, b"")
            elif wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
                data = objects[key]
                first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
                place = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
                self.answer(206, data[first : last + 1], place)
            else:
                self.answer(200, objects[key])

        def listing(self, query: dict[str, list[str]]) -> bytes:
            prefix = query.get("prefix", [""])[0]
            found = [key for key in sorted(objects) if key.startswith(prefix)]
            folders = sorted({prefix + k[len(prefix) :].split("/")[0] + "/" for k in found
                              if "/" in k[len(prefix) :]})  # fmt: skip
            files = [k for k in found if "/" not in k[len(prefix) :]]
            contents = "".join(
                f"<Contents><Key>{escape(k)}</Key><LastModified>{STAMP}</LastModified>"
                f"<Size>{len(objects[k])}</Size></Contents>"
                for k in files
            )
            prefixes = "".join(
                f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in folders
            )
            return (
                '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                f"<Name>lake</Name><Prefix>{escape(prefix)}</Prefix>"
                f"<KeyCount>{len(files) + len(folders)}</KeyCount><IsTruncated>false</IsTruncated>"
                f"{contents}{prefixes}</ListBucketResult>"
            ).encode()

        def answer(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
            for name, value in (more or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        port = server.server_address[1]
        yield f"?scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
    finally:
        server.shutdown()
        server.server_close()
