"""Whether this machine can run beatlake: what `beatlake doctor` checks, before anything starts.

Only the standard library is needed, so the checks also run before the packages are installed.
No JVM starts but for `java -version`.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from beatlake import jars, java, resources
from beatlake.errors import SetupError

PYTHONS = ((3, 10), (3, 12))
"""The oldest and the newest Python that the tests run on; pyspark 4.1 needs 3.10."""

PACKAGES = {"pyspark": "4.1.4", "delta-spark": "4.4.0"}
"""The versions that were tested together, with the jars of `conf/jars.lock`."""

INSTALL_BYTES = {"--before-install": 3 << 30, "--before-torch": 8 << 30}
"""Room for the virtual environment (1.4 GB), or for torch with CUDA (5 GB), and pip's own files."""

WORK_BYTES = 1 << 30
"""Room for what Spark spills on a small input."""

MEMORY_MB = 3 * 1024
"""The smallest heap that Spark gets (2 GiB), its Python workers and this process."""


@dataclass(frozen=True)
class Finding:
    """What one check found; `mend` is the command that mends it, empty where `ok`."""

    name: str
    ok: bool
    sentence: str
    mend: str = ""


def doctor(environ: Mapping[str, str] = os.environ, before: str = "") -> list[Finding]:
    """Every check of this machine, in the order in which a person would mend them.

    Args:
        environ: The environment variables to go by.
        before: One of `INSTALL_BYTES`: leave out the packages and the jars, ask for room for those.
    """
    findings = [
        check_python(sys.version_info[:2]),
        _attempt("java", lambda: f"Java {java.check(environ)} is there."),
        check_memory(total_memory_mb()),
        *_check_folder("temp", tempfile.gettempdir, "TMPDIR", WORK_BYTES),
        *_check_folder("cache", lambda: resources.cache_dir(environ), "BEATLAKE_CACHE", 0),
    ]
    if before:
        root = resources.checkout() or Path.cwd()
        return [*findings, check_disk("install", root, _free_bytes(root), INSTALL_BYTES[before])]
    return [
        *findings,
        *(check_package(name, wanted, _installed(name)) for name, wanted in PACKAGES.items()),
        _attempt("jars", lambda: f"{len(jars.verified(environ))} pinned jars are there."),
    ]


def check_python(found: tuple[int, ...]) -> Finding:
    """The Python version.

    >>> check_python((3, 11)).ok
    True
    >>> check_python((3, 13)).sentence
    'Python 3.13 is too new: beatlake and Spark 4.1 are tested on 3.10 to 3.12.'
    """
    oldest, newest = PYTHONS
    text = ".".join(map(str, found[:2]))
    if oldest <= found[:2] <= newest:
        return Finding("python", True, f"Python {text} is supported.")
    wrong = "old" if found < oldest else "new"
    sentence = f"Python {text} is too {wrong}: beatlake and Spark 4.1 are tested on 3.10 to 3.12."
    mend = "make install PYTHON=python3.12" if resources.checkout() else "python3.12 -m venv .venv"
    return Finding("python", False, sentence, mend)


def check_package(name: str, wanted: str, found: str | None) -> Finding:
    """An installed package, against the version that was tested.

    >>> check_package("pyspark", "4.1.4", "4.1.4").ok
    True
    >>> check_package("pyspark", "4.1.4", "3.5.1").sentence
    'pyspark 3.5.1 is installed where 4.1.4 was tested.'
    """
    mend = "make install" if resources.checkout() else "pip install 'beatlake[local]'"
    if found is None:
        return Finding(name, False, f"{name} is not installed.", mend)
    if found != wanted:
        return Finding(name, False, f"{name} {found} is installed where {wanted} was tested.", mend)
    return Finding(name, True, f"{name} {found} is installed.")


def check_disk(name: str, folder: Path, free: int, needed: int, variable: str = "") -> Finding:
    """The free space in a folder, in bytes; `variable` names what moves the folder elsewhere.

    >>> check_disk("temp", Path("/tmp"), 100 << 20, 1 << 30, "TMPDIR")
    ... # doctest: +NORMALIZE_WHITESPACE
    Finding(name='temp', ok=False, sentence='/tmp has 0.1 GB free where 1.0 GB is needed.',
            mend='free some space there, or: export TMPDIR=/a/larger/disk')
    """
    if free >= needed:
        return Finding(name, True, f"{folder} has {free / (1 << 30):.1f} GB free.")
    sentence = (
        f"{folder} has {free / (1 << 30):.1f} GB free where {needed / (1 << 30):.1f} GB is needed."
    )
    mend = f"free some space there{f', or: export {variable}=/a/larger/disk' if variable else ''}"
    return Finding(name, False, sentence, mend)


def check_memory(total_mb: int) -> Finding:
    """The memory, in MiB.

    >>> check_memory(1024).sentence
    'This machine has 1.0 GB of memory, and Spark with its Python workers needs 3.0 GB.'
    """
    have, need = total_mb / 1024, MEMORY_MB / 1024
    if total_mb >= MEMORY_MB:
        return Finding("memory", True, f"This machine has {have:.1f} GB of memory.")
    return Finding(
        "memory",
        False,
        f"This machine has {have:.1f} GB of memory, and Spark with its Python workers needs "
        f"{need:.1f} GB.",
        "run on a larger machine, or raise the container's limit",
    )


def available_cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def total_memory_mb() -> int:
    """Memory in MiB of the machine, or of the container where it is limited to less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        limit = machine
    return min(machine, limit) >> 20


def _attempt(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except SetupError as error:
        return Finding(name, False, error.sentence, error.mend)


def _check_folder(
    name: str, folder: Callable[[], str | Path], variable: str, needed: int
) -> list[Finding]:
    """Whether a folder can be written to, and whether it has room."""
    try:
        path = Path(folder())
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            # A full disk refuses the data, not the empty file.
            probe.write(bytes(4096))
    except OSError as error:
        sentence = f"The {name} folder cannot be written to: {error.strerror or error}."
        return [Finding(name, False, sentence, f"export {variable}=/a/writable/folder")]
    return [check_disk(name, path, _free_bytes(path), needed, variable)]


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def main(arguments: list[str]) -> int:
    """Prints what is wrong, or all findings where nothing is; the exit code is 0 or 2."""
    before = next((each for each in arguments if each in INSTALL_BYTES), "")
    findings = doctor(before=before)
    failed = [finding for finding in findings if not finding.ok]
    for finding in failed if before else findings:
        print(f"{'ok   ' if finding.ok else 'error'} {finding.name}: {finding.sentence}")
        if finding.mend:
            print(f"      mend it with: {finding.mend}")
    return 2 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
