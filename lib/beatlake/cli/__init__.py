"""The `beatlake` command: parse, call, print, exit code.

Exit codes: 0 done, 1 a bug, 2 configuration or usage, 3 input, 4 quality gate, 5 leak gate,
6 conflict with another run, 130 interrupted. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from beatlake import __version__, console
from beatlake.cli import failures, jobs, learning, looking, models, sound
from beatlake.cli.options import app, lake_in_use
from beatlake.redaction import redact

__all__ = ["jobs", "learning", "looking", "main", "models", "sound"]

_INTERRUPTED = 130


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"beatlake {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Parse what comes before the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    lake_in_use.clear()
    command = typer.main.get_command(app)
    try:
        done = command.main(
            None if arguments is None else list(arguments),
            prog_name="beatlake",
            standalone_mode=False,
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        return _fail("Interrupted.", _INTERRUPTED)
    except SystemExit as stop:
        # Whoever read the output closed it, as `head` does.
        closed = isinstance(stop.__context__, BrokenPipeError)
        return 0 if closed else int(stop.code or 0)
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{error}\n")
            return 2
        return _fail(*failures.explain(error, lake_in_use[0] if lake_in_use else None))
    if done == _INTERRUPTED:
        return _fail("Interrupted.", _INTERRUPTED)
    return done if isinstance(done, int) else 0


def _fail(sentence: str, code: int) -> int:
    # Lines after the first are set in, so that no text can pass for a line of beatlake's own.
    lines = console.clean(redact(sentence), keep="\n").split("\n")
    indented = [f"  {line.strip()}" for line in lines[1:] if line.strip()]
    sys.stderr.write("\n".join([f"error: {lines[0]}", *indented, ""]))
    return code
