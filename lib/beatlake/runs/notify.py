"""Telling somebody that a run has ended: a webhook or a command, with the run's figures as JSON."""

from __future__ import annotations

import http.client
import json
import shlex
import subprocess
import urllib.request
from dataclasses import asdict, dataclass, replace
from subprocess import CalledProcessError
from urllib.parse import urlsplit

from beatlake.config import NotifySettings
from beatlake.redaction import redact, redacted
from beatlake.runs.report import Reporter, RunReport

_TIMEOUT_S = 15
_LONGEST_REASON = 2000


@dataclass(frozen=True)
class Ended:
    """How a run ended: what a webhook gets as its body and a command on its standard input."""

    lake: str
    input_directory: str
    outcome: str
    exit_code: int
    reason: str | None
    seconds: float
    run_id: str | None = None
    release: int | None = None
    tables: int | None = None
    rows: int | None = None
    figures: dict[str, float | None] | None = None


def done(lake: str, input_directory: str, report: RunReport) -> Ended:
    """A run that ended well."""
    ended = Ended(lake, input_directory, report.outcome, 0, None, report.seconds, report.run_id)
    if report.release is None:
        return ended
    tables = report.release.tables.values()
    return replace(
        ended,
        release=report.release.release,
        tables=len(tables),
        rows=sum(table.rows for table in tables),
        figures=report.release.figures,
    )


def failed(lake: str, input_directory: str, error: BaseException, seconds: float) -> Ended:
    """A run that did not."""
    code = getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 1)
    reason = redact(str(error) or type(error).__name__)[:_LONGEST_REASON]
    return Ended(lake, input_directory, "failed", code, reason, seconds)


def tell(settings: NotifySettings, ended: Ended, reporter: Reporter) -> None:
    """Call the webhook and the command, if they are set; secrets are not told.

    What goes wrong here is said and changes nothing: the run has ended as it has.
    """
    body = json.dumps(redacted(asdict(ended))).encode()
    if settings.webhook is not None:
        url = settings.webhook.get_secret_value()
        try:
            _post(url, body)
        except (OSError, ValueError, http.client.HTTPException) as error:
            # Not the address, which may hold a token.
            reporter.message(f"The webhook could not be called: {type(error).__name__}.")
    if settings.command is not None:
        try:
            subprocess.run(
                shlex.split(settings.command),
                input=body,
                check=True,
                timeout=_TIMEOUT_S,
                capture_output=True,
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            # Not the command, whose arguments may be secret.
            code = f" {error.returncode}" if isinstance(error, CalledProcessError) else ""
            reporter.message(f"The command of notify.command failed: {type(error).__name__}{code}.")


def _post(url: str, body: bytes) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("a webhook is an http or https address")
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
        pass
