"""Delta's jars for embedded Spark: pinned in `conf/jars.lock`, checked, fetched once.

Spark could resolve them itself at every start (`spark.jars.packages`), which costs seconds, asks
the network and checks nothing. Here Ivy, a part of pyspark that knows the public repository by
itself, is asked once, and every start compares the files with their pinned SHA-256.
"""

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from beatlake import java, resources
from beatlake.errors import SetupError

_FETCH_TIMEOUT_S = 300


class Jar(NamedTuple):
    """One pinned jar; `coordinate` is group:artifact:version."""

    coordinate: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        """The name of the file, as repositories name it.

        >>> Jar("io.delta:delta-storage:4.4.0", 0, "").filename
        'delta-storage-4.4.0.jar'
        """
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def parse(text: str) -> tuple[Jar, ...]:
    r"""The jars that a lock file pins.

    >>> parse("# why\nio.delta:delta-storage:4.4.0 12 abc\n")
    (Jar(coordinate='io.delta:delta-storage:4.4.0', size=12, sha256='abc'),)
    """
    lines = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(Jar(name, int(size), sha256) for name, size, sha256 in lines)


def pinned() -> tuple[Jar, ...]:
    """The jars of `conf/jars.lock`."""
    return parse(resources.read_conf("jars.lock"))


def directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the jars are: `BEATLAKE_JARS`, which is only read, or beatlake's own cache."""
    given = environ.get("BEATLAKE_JARS")
    return Path(given).absolute() if given else resources.cache_dir(environ) / "jars"


def fetch_command() -> str:
    """The command that fetches the jars here."""
    return "make jars" if resources.checkout() else f"{sys.executable} -m beatlake.jars"


def verified(
    environ: Mapping[str, str] = os.environ, jars: Sequence[Jar] | None = None
) -> list[Path]:
    """The jars on disk, each with the pinned SHA-256; hashing all of them takes under 0.1 s.

    Raises:
        SetupError: Some jars are missing or differ from the pinned ones; it names all of them.
    """
    folder = directory(environ)
    wanted = pinned() if jars is None else jars
    problems = [problem for jar in wanted if (problem := _problem(folder / jar.filename, jar))]
    if problems:
        mend = fetch_command()
        if environ.get("BEATLAKE_JARS"):
            mend = f"put the jars of conf/jars.lock into {folder}, or: unset BEATLAKE_JARS"
        raise SetupError(f"Delta's jars in {folder} are not usable: {'; '.join(problems)}.", mend)
    return [folder / jar.filename for jar in wanted]


def fetch(
    environ: Mapping[str, str] = os.environ,
    jars: Sequence[Jar] | None = None,
    resolve: Callable[[Sequence[Jar], Path, Mapping[str, str]], None] | None = None,
) -> list[Path]:
    """The verified jars, downloaded first where they are missing or damaged.

    Nothing enters the cache before its hash is checked, and each file enters by a rename.

    Raises:
        SetupError: Java or the network is missing, the disk is full, or a download is not the
            pinned file.
    """
    wanted = pinned() if jars is None else jars
    try:
        return verified(environ, wanted)
    except SetupError:
        if environ.get("BEATLAKE_JARS"):
            raise
    folder = directory(environ)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetch-") as scratch:
            (resolve or _resolve)(wanted, Path(scratch), environ)
            _accept(wanted, Path(scratch), folder)
    except OSError as error:
        raise SetupError(
            f"Delta's jars could not be written to {folder}: {error.strerror or error}.",
            f"export BEATLAKE_CACHE=/a/folder/with/space && {fetch_command()}",
        ) from error
    return verified(environ, wanted)


def _accept(jars: Sequence[Jar], scratch: Path, folder: Path) -> None:
    problems = [problem for jar in jars if (problem := _problem(scratch / jar.filename, jar))]
    if problems:
        raise SetupError(
            f"The downloaded jars were refused: {'; '.join(problems)}.",
            f"{fetch_command()} on another network, or: export BEATLAKE_JARS=/folder/with/the/jars",
        )
    for jar in jars:
        (scratch / jar.filename).replace(folder / jar.filename)


def _problem(path: Path, jar: Jar) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != jar.sha256:
        return f"{path.name} has SHA-256 {found[:12]}… where {jar.sha256[:12]}… is pinned"
    return None


def _resolve(jars: Sequence[Jar], scratch: Path, environ: Mapping[str, str]) -> None:
    """Downloads the jars into `scratch` with the Ivy that comes with pyspark."""
    java.check(environ)
    request = scratch / "ivy.xml"
    request.write_text(_ivy_module(jars), encoding="utf-8")
    command = [
        java.executable(environ),
        f"-Divy.default.ivy.user.dir={scratch}",
        *proxy_options(environ),
        *("-cp", str(_ivy_jar()), "org.apache.ivy.Main"),
        *("-ivy", str(request), "-cache", str(scratch / "ivy")),
        *("-retrieve", f"{scratch}/[artifact]-[revision].[ext]"),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False
        )
        log, failed = done.stdout + done.stderr, done.returncode != 0
    except subprocess.TimeoutExpired:
        log, failed = f"no answer within {_FETCH_TIMEOUT_S} s", True
    if failed and "No space left" in log:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if failed:
        raise SetupError(
            f"Delta's jars could not be downloaded: {_reason(log)}.",
            f"{fetch_command()} with a network, or: export BEATLAKE_JARS=/folder/with/the/jars",
        )


def _ivy_module(jars: Sequence[Jar]) -> str:
    dependency = "<dependency org='{}' name='{}' rev='{}' transitive='false' conf='main->master'/>"
    return "\n".join(
        [
            "<ivy-module version='2.0'><info organisation='beatlake' module='jars'/>",
            "<configurations><conf name='main'/></configurations><dependencies>",
            *(dependency.format(*jar.coordinate.split(":")) for jar in jars),
            "</dependencies></ivy-module>",
        ]
    )


def _ivy_jar() -> Path:
    spec = find_spec("pyspark")
    places = spec.submodule_search_locations if spec else None
    for place in places or ():
        for jar in Path(place).glob("jars/ivy-*.jar"):
            return jar
    raise SetupError(
        "pyspark, which brings the tool that downloads Delta's jars, is not installed.",
        "make install" if resources.checkout() else "pip install 'beatlake[local]'",
    )


def proxy_options(environ: Mapping[str, str]) -> list[str]:
    """Java's options for the proxy that the environment names; Java itself ignores it.

    >>> proxy_options({"HTTPS_PROXY": "http://proxy.example:3128"})
    ['-Dhttps.proxyHost=proxy.example', '-Dhttps.proxyPort=3128']
    >>> proxy_options({})
    []
    """
    proxy = urlsplit(environ.get("HTTPS_PROXY") or environ.get("https_proxy") or "")
    if not proxy.hostname:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 80}"]


def _reason(log: str) -> str:
    if "UnknownHostException" in log or "Connection refused" in log or "timed out" in log:
        return "the network does not reach the public jar repository"
    lines = [line.strip() for line in log.splitlines() if line.strip().strip(":")]
    failures = [line for line in lines if "not found" in line or "rror" in line]
    return (failures or lines or ["Ivy gave no reason"])[0].rstrip(".")


def main() -> int:
    """Fetches the jars; the exit code is 0 where they are there and right, else 2."""
    try:
        paths = fetch()
    except SetupError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(paths)} Delta jars, checked, in {paths[0].parent}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
