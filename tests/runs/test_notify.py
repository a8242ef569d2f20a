"""Telling a webhook and a command how a run ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from beatlake import config
from beatlake.errors import InputError
from beatlake.lake import Lake
from beatlake.runs.report import Silent
from beatlake.runs.runner import run


class Told(Silent):
    """A reporter that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        """Keep a sentence."""
        self.messages.append(text)


@pytest.fixture
def posted() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a server and what it was sent."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook?token=s3cret", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def fails(tmp_path: Path, *settings: str) -> tuple[str, Told]:
    """The error of a run without input, and what its reporter was told."""
    reporter = Told()
    with pytest.raises(InputError) as error:
        run(str(tmp_path), Lake(tmp_path / "lake"), config.load(None, settings, {}), reporter)
    return str(error.value), reporter


def test_a_webhook_and_a_command_learn_why_a_run_failed(
    tmp_path: Path, posted: tuple[str, list[bytes]]
) -> None:
    url, bodies = posted
    file = tmp_path / "told.json"
    reason, reporter = fails(tmp_path, f"notify.webhook={url}", f"notify.command='tee {file}'")
    (body,) = bodies
    event = json.loads(body)
    assert (event["outcome"], event["exit_code"], event["reason"]) == ("failed", 3, reason)
    assert event["input_directory"] == str(tmp_path)
    assert file.read_bytes() == body
    assert reporter.messages == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/?token=s3cret", "file:///etc/s3cret", "s3cret"]
)
def test_a_webhook_that_fails_is_said_without_its_address(tmp_path: Path, url: str) -> None:
    _, reporter = fails(tmp_path, f"notify.webhook={url}")
    assert len(reporter.messages) == 1
    assert "s3cret" not in reporter.messages[0]


def test_a_command_that_fails_is_said(tmp_path: Path) -> None:
    _, reporter = fails(tmp_path, "notify.command='false'")
    assert len(reporter.messages) == 1


def test_the_address_is_in_no_record_of_the_settings() -> None:
    settings = config.load(None, ["notify.webhook=https://example.com/s3cret"], {})
    assert "s3cret" not in json.dumps(settings.model_dump(mode="json"))
    assert "s3cret" not in repr(settings)
