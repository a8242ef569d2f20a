"""The Java that Spark will run on: which one it is, and where a suitable one may be."""

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from beatlake.errors import SetupError

SUPPORTED = (17, 21)
"""Java versions that Spark 4.1 documents (https://spark.apache.org/docs/4.1.1/, Overview)."""

_USUAL_PLACES = (
    "/usr/lib/jvm/*",
    "/opt/java/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk@*/libexec/openjdk.jdk/Contents/Home",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
)

_INSTALL = {
    "apt-get": "apt-get update && apt-get install -y openjdk-17-jre-headless",
    "dnf": "dnf install -y java-17-openjdk-headless",
    "apk": "apk add openjdk17-jre-headless",
    "brew": "brew install openjdk@17",
}

Run = Callable[[list[str]], str]
"""Runs a command and gives its standard output and error together; OSError when it cannot."""


def parse_version(text: str) -> int | None:
    """The major version in what `java -version` prints, or None.

    >>> parse_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> parse_version('java version "1.8.0_402"')
    8
    >>> parse_version('openjdk version "26-ea" 2026-03-17')
    26
    >>> parse_version("java: not found") is None
    True
    """
    found = re.search(r'version "(\d+)(?:\.(\d+))?', text)
    if not found:
        return None
    major = int(found[1])
    return int(found[2] or 0) if major == 1 else major


def executable(environ: Mapping[str, str] = os.environ) -> str:
    """The `java` that Spark's scripts would start: `JAVA_HOME` first, then the path.

    >>> executable({"JAVA_HOME": "/opt/jdk"})
    '/opt/jdk/bin/java'
    """
    home = environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def check(
    environ: Mapping[str, str] = os.environ,
    run: Run | None = None,
    homes: Callable[[], Iterator[tuple[Path, int]]] | None = None,
) -> int:
    """The major version of the Java that Spark would start.

    Raises:
        SetupError: There is no Java, or Spark does not support its version.
    """
    command = executable(environ)
    wanted = " or ".join(map(str, SUPPORTED))
    try:
        version = parse_version((run or _run)([command, "-version"]))
    except OSError:
        version = None
    if version in SUPPORTED:
        return version
    origin = f"JAVA_HOME={environ['JAVA_HOME']}" if environ.get("JAVA_HOME") else "the PATH"
    problem = (
        f"Java {version} (from {origin}) does not run Spark 4.1, which needs Java {wanted}"
        if version
        else f"No working Java was found (looked at {origin}); Spark needs Java {wanted}"
    )
    for home, major in sorted((homes or installed)(), key=lambda found: (found[1], found[0])):
        if major in SUPPORTED:
            raise SetupError(
                f"{problem}; Java {major} is installed in {home}.", f"export JAVA_HOME={home}"
            )
    raise SetupError(f"{problem}.", install_command())


def installed() -> Iterator[tuple[Path, int]]:
    """Java homes in the usual places with their major versions, read from their release files."""
    for place in _USUAL_PLACES:
        pattern = Path(place).expanduser()
        for home in sorted(Path("/").glob(str(pattern.relative_to("/")))):
            version = _released_version(home)
            if version and os.access(home / "bin" / "java", os.X_OK):
                yield home, version


def install_command(which: Callable[[str], str | None] = shutil.which) -> str:
    """The command that installs a suitable Java here.

    >>> install_command(lambda tool: "/usr/bin/dnf" if tool == "dnf" else None)
    'dnf install -y java-17-openjdk-headless'
    """
    for tool, command in _INSTALL.items():
        if which(tool):
            return command
    return f"install a Java 17 runtime for {platform.system()} and export JAVA_HOME"


def _released_version(home: Path) -> int | None:
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r'JAVA_VERSION="[^"]+"', text)
    return parse_version(found[0].replace("JAVA_VERSION=", "version ")) if found else None


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr
