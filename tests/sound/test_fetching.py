"""Files come from a real server that does its worst; what comes of each address is told."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import shutil
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from audio_files import TYPES, tone
from file_server import Answer, FileServer, Handler, endless, serving, silent, status, then, whole
from quick_settings import one, stored, told

from beatlake.config import ConfigError, PreviewSettings, load
from beatlake.errors import out_of_room
from beatlake.resources import read_conf
from beatlake.sound.cache import Cache
from beatlake.sound.fetching import fetch

SECRET = "0b297fa8a249464ba34f5861d4140e58"
MP3 = tone("MP3")
HTML = b"<!doctype html><title>Not here</title>" * 300


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as started:
        yield started


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


# Asking at all.


def test_nothing_is_asked_by_default(server: FileServer, cache: Cache) -> None:
    address = server.at("/a", whole(MP3))
    with pytest.raises(ConfigError, match=r"previews\.fetch"):
        fetch([address], load(environment={}).previews, cache)
    with pytest.raises(ConfigError, match=r"previews\.contact"):
        fetch([address], told(contact=None), cache)
    assert server.asked == []


def test_the_file_of_settings_names_each_with_its_default() -> None:
    written = yaml.safe_load(read_conf("pipeline.yaml"))["previews"]
    assert written == PreviewSettings().model_dump(mode="json")


def test_servers_are_told_who_asks_and_that_nothing_is_to_be_packed(
    server: FileServer, cache: Cache
) -> None:
    assert one(server.at("/a", whole(MP3)), cache).outcome == "ok"
    [asked] = server.asked
    assert "beatlake/" in asked.headers["User-Agent"]
    assert "test@example.org" in asked.headers["User-Agent"]
    assert asked.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("contact", ["", "me", "me@example.org\r\nX: 1", "a\x00b", " me ", "ö@x.y"])
def test_who_asks_fits_into_a_header(contact: str) -> None:
    with pytest.raises(ConfigError, match="contact"):
        load(assignments=[f"previews.contact={json.dumps(contact)}"], environment={})


def test_a_network_that_is_none_is_told_in_one_sentence() -> None:
    with pytest.raises(ConfigError) as raised:
        load(assignments=["previews.networks=[10.0.0.1/8]"], environment={})
    assert str(raised.value).count("previews.networks.0: ") == 1
    assert "'10.0.0.1/8'" in str(raised.value)


# What comes.


def test_every_kind_is_taken_whatever_it_is_called(server: FileServer, cache: Cache) -> None:
    addresses = [
        server.at(f"/{kind}.exe", whole(tone(kind), said="text/html; charset=utf-8"))
        for kind in TYPES
    ]
    for kind, fetched in zip(TYPES, fetch(addresses, told(), cache), strict=True):
        assert (fetched.outcome, fetched.reason, fetched.status) == ("ok", None, 200)
        assert (fetched.type_said, fetched.type_found) == ("text/html", TYPES[kind])
        assert fetched.sha256 == hashlib.sha256(tone(kind)).hexdigest()
        assert fetched.bytes == len(tone(kind))
        assert cache.path(fetched.sha256).read_bytes() == tone(kind)
        assert timedelta() <= datetime.now(timezone.utc) - fetched.at < timedelta(minutes=1)


def test_outcomes_come_in_the_order_of_the_addresses(server: FileServer, cache: Cache) -> None:
    others_are_done = threading.Event()

    def late(handler: Handler, before: int) -> None:
        assert others_are_done.wait(50)
        whole(MP3)(handler, before)

    def last(handler: Handler, before: int) -> None:
        others_are_done.set()
        status(404)(handler, before)

    addresses = [server.at("/late", late)]
    addresses += [server.at(f"/{n}", status(404)) for n in range(20)]
    addresses += [server.at("/last", last)]
    settings = told(at_a_time=2, read_timeout_s=50)
    outcomes = list(fetch(iter(addresses), settings, cache))
    assert [fetched.address for fetched in outcomes] == addresses
    assert [fetched.outcome for fetched in outcomes] == ["ok", *["gone"] * 21]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(whole(HTML), id="a page that calls itself audio"),
        pytest.param(whole("ÿÿ no audio".encode("utf-16")), id="text that begins like a frame"),
        pytest.param(whole(b""), id="empty"),
        pytest.param(whole(MP3[:3]), id="three bytes"),
        pytest.param(whole(gzip.compress(MP3), Content_Encoding="gzip"), id="packed and says so"),
        pytest.param(whole(gzip.compress(MP3)), id="packed"),
        pytest.param(whole(tone("WAV", seconds=3)), id="too large"),
        pytest.param(endless(HTML), id="a page without end"),
        pytest.param(endless(tone("OGG")), id="audio without end"),
    ],
)
def test_what_is_no_file_of_audio_is_damaged(
    server: FileServer, cache: Cache, answer: Answer
) -> None:
    limit = 100_000
    assert len(tone("WAV", seconds=3)) > limit > len(HTML)
    address = server.at("/a", answer)
    for _ in range(2):
        fetched = one(address, cache, max_mb=limit / 2**20)
        assert (fetched.outcome, fetched.status) == ("damaged", 200)
        assert (fetched.sha256, fetched.bytes, fetched.type_found) == (None, None, None)
    assert server.times("/a") == 1
    assert stored(cache) == []


def test_a_file_that_says_that_it_is_too_large_is_not_read(
    server: FileServer, cache: Cache
) -> None:
    def large(handler: Handler, before: int) -> None:
        handler.head(200, Content_Type="audio/mpeg", Content_Length=2**50)
        silent(handler, before)

    fetched = one(server.at("/a", large), cache, retries=0, read_timeout_s=2)
    assert (fetched.outcome, fetched.status) == ("damaged", 200)


def test_what_packing_is_said_counts_as_little_as_the_type(
    server: FileServer, cache: Cache
) -> None:
    address = server.at("/a", whole(MP3, Content_Encoding="gzip"))
    assert one(address, cache).sha256 == hashlib.sha256(MP3).hexdigest()


def test_a_file_is_as_long_as_the_server_says(server: FileServer, cache: Cache) -> None:
    def longer(handler: Handler, before: int) -> None:
        handler.head(200, Content_Type="audio/mpeg", Content_Length=len(MP3))
        handler.wfile.write(MP3 + HTML)

    def unsaid(handler: Handler, before: int) -> None:
        handler.head(200)
        handler.wfile.write(MP3)

    addresses = [server.at("/a", longer), server.at("/b", unsaid)]
    for fetched in fetch(addresses, told(), cache):
        assert fetched.sha256 == hashlib.sha256(MP3).hexdigest()
    assert fetched.type_said is None


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_that_ends_before_its_end_is_asked_for_again(
    server: FileServer, cache: Cache, chunked: bool
) -> None:
    def torn(handler: Handler, before: int) -> None:
        if chunked:
            handler.head(200, Content_Type="audio/mpeg", Transfer_Encoding="chunked")
            handler.wfile.write(b"%x\r\n" % len(MP3) + MP3[:-1])
        else:
            handler.head(200, Content_Type="audio/mpeg", Content_Length=len(MP3))
            handler.wfile.write(MP3[:-1])

    fetched = one(server.at("/always", torn), cache, retries=2)
    assert (fetched.outcome, fetched.status, fetched.sha256) == ("damaged", 200, None)
    assert server.times("/always") == 3
    assert one(server.at("/once", then(torn, whole(MP3))), cache).outcome == "ok"
    assert len(stored(cache)) == 1
    # It may have been the network: a later run tries again.
    server.at("/always", whole(MP3))
    assert one(server.base + "/always", cache).outcome == "ok"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (400, "refused"), (401, "refused"), (403, "refused"), (404, "gone"), (410, "gone"),
        (418, "refused"), (451, "refused"), (499, "refused"),
    ],
)  # fmt: skip
def test_a_refusal_stands(server: FileServer, cache: Cache, code: int, outcome: str) -> None:
    address = server.at("/a", status(code))
    for _ in range(2):
        fetched = one(address, cache)
        assert (fetched.outcome, fetched.status) == (outcome, code)
        assert str(code) in str(fetched.reason)
    assert server.times("/a") == 1


@pytest.mark.parametrize("code", [408, 425, 500, 502, 503, 504, 599])
def test_trouble_of_the_server_may_pass(server: FileServer, cache: Cache, code: int) -> None:
    address = server.at("/a", then(status(code), status(code), status(code), whole(MP3)))
    fetched = one(address, cache, retries=2)
    assert (fetched.outcome, fetched.status, server.times("/a")) == ("failed", code, 3)
    assert one(address, cache).outcome == "ok"


@pytest.mark.parametrize("code", [204, 206, 226, 300, 304, 302])
def test_an_answer_that_was_not_asked_for_is_no_file(
    server: FileServer, cache: Cache, code: int
) -> None:
    fetched = one(server.at("/a", whole(MP3 if code > 204 else b"", code)), cache)
    assert (fetched.outcome, fetched.status, server.times("/a")) == ("failed", code, 1)


# What the machine does is no outcome.


def test_a_full_disk_ends_the_run(
    server: FileServer, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no disk that is always full")

    def full(**_: object) -> tuple[int, str]:
        return os.open("/dev/full", os.O_WRONLY), str(cache.root / "incoming" / "none")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    with pytest.raises(OSError) as raised:
        one(server.at("/a", whole(MP3)), cache)
    assert out_of_room(raised.value, None) is not None


# Certificates.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of its own authority for localhost, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    made, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-out", made, "-keyout", key],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return made, key


def test_certificates_are_checked(
    certificate: tuple[Path, Path], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    both = ["127.0.0.1/32", "::1/128"]
    with serving(tls=context) as server:
        server.at("/a", whole(MP3))
        named = server.base.replace("127.0.0.1", "localhost") + "/a"
        fetched = one(named, cache, networks=both)
        assert (fetched.outcome, server.asked) == ("failed", [])
        assert "certificate" in str(fetched.reason)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert one(server.base + "/a", cache).outcome == "failed"
        assert one(named, cache, networks=both).outcome == "ok"


# Secrets.


def echoing(handler: Handler, before: int) -> None:
    handler.send_response(403, f"no {handler.path}")
    handler.send_header("Content-Type", handler.path)
    handler.send_header("Retry-After", handler.path)
    handler.end_headers()


def leading_nowhere(handler: Handler, before: int) -> None:
    handler.head(302, Location=f"gopher://{SECRET}@host/?cid={SECRET}")


def unreadable(handler: Handler, before: int) -> None:
    handler.wfile.write(b"HTTP/1.1 500 No\r\nno header here\r\nX: 1\r\n\r\n")


def no_http(handler: Handler, before: int) -> None:
    handler.wfile.write(f"{handler.path} is not here\r\n".encode())


@pytest.mark.parametrize(
    "answer",
    [whole(MP3), whole(HTML), echoing, leading_nowhere, unreadable, no_http, silent],
)
def test_nothing_tells_the_query_of_an_address(
    server: FileServer, cache: Cache, caplog: pytest.LogCaptureFixture, answer: Answer
) -> None:
    caplog.set_level(logging.DEBUG)
    quick = {"read_timeout_s": 0.2} if answer is silent else {}
    fetched = one(server.at("/a", answer) + f"?cid={SECRET}", cache, retries=0, **quick)
    assert server.asked[0].path == f"/a?cid={SECRET}"
    assert SECRET not in repr(fetched) + caplog.text
    files = [path for path in cache.root.rglob("*") if path.is_file()]
    assert len(files) >= 2
    for path in files:
        assert SECRET.encode() not in path.read_bytes() + str(path).encode()
