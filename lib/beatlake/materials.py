"""What beatlake is made of, as a CycloneDX bill of materials, and what is known against it.

`make audit` runs this in a checkout, with the tools of the development requirements. The bill has
every package of the locks, torch's too, and every jar of `conf/jars.lock`, with their hashes. PyPI
is asked for the vulnerabilities of the packages that this Python would install; it knows nothing
of jars.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from beatlake import __version__, jars, resources
from beatlake.errors import BeatlakeError, GateError, SetupError

_LOCKS = (Path("requirements", "dev.lock"), Path("requirements", "torch.lock"))
_BILL = ("cyclonedx_py", "requirements", "--output-reproducible", "--spec-version", "1.6")
#: Strict, because a package that PyPI says nothing about must not pass for a safe one.
_AUDIT = ("pip_audit", "--strict", "--require-hashes", "--disable-pip", "--progress-spinner=off")


def bill(locks: Iterable[Path]) -> dict[str, Any]:
    """The bill of materials of lock files, what several have once, and of the pinned jars.

    Raises:
        SetupError: the tool that reads a lock is missing or cannot read it.
    """
    documents = []
    for lock in locks:
        done = _tool(*_BILL, str(lock))
        if done.returncode:
            raise SetupError(f"{lock} could not be listed: {_reason(done)}.", "make install")
        documents.append(json.loads(done.stdout))
    return with_jars(together(documents), jars.pinned())


def together(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Bills as one, whose references are by name and version in place of a lock's line."""
    parts = {
        f"{part['name']}=={part.get('version', '')}": part
        for document in reversed(documents)
        for part in document["components"]
    }
    components = [{**part, "bom-ref": ref} for ref, part in sorted(parts.items())]
    return {**documents[0], "components": components}


def with_jars(document: dict[str, Any], pinned: Iterable[jars.Jar]) -> dict[str, Any]:
    """A bill of Python packages with jars added, as parts of beatlake."""
    components = [*document["components"], *map(_component, pinned)]
    root = {"type": "application", "name": "beatlake", "version": __version__}
    named = [component["bom-ref"] for component in components]
    return {
        **document,
        "metadata": {**document["metadata"], "component": {**root, "bom-ref": "beatlake"}},
        "components": components,
        "dependencies": [
            {"ref": "beatlake", "dependsOn": named},
            *({"ref": name} for name in named),
        ],
    }


def _component(jar: jars.Jar) -> dict[str, Any]:
    group, name, version = jar.coordinate.split(":")
    address = f"pkg:maven/{group}/{name}@{version}"
    return {
        "type": "library",
        "group": group,
        "name": name,
        "version": version,
        "bom-ref": address,
        "purl": address,
        "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
    }


def audit(lock: Path) -> int:
    """How many packages of a lock file were looked up, none of them with a known vulnerability.

    Raises:
        SetupError: the advisory service, or the tool that asks it, does not answer.
        GateError: naming every package with a known vulnerability.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "audit.json"
        done = _tool(*_AUDIT, "--format=json", "--output", str(report), "--requirement", str(lock))
        if not report.is_file():
            raise SetupError(
                f"PyPI's advisory service gave no answer, so nothing was audited: {_reason(done)}.",
                "make audit where https://pypi.org/pypi can be reached",
            )
        packages = json.loads(report.read_text(encoding="utf-8"))["dependencies"]
    found = [_vulnerable(package, known) for package in packages for known in package["vulns"]]
    if found:
        raise GateError("\n".join(["There are known vulnerabilities:", *found]))
    return len(packages)


def _vulnerable(package: dict[str, Any], known: dict[str, Any]) -> str:
    fixed = ", ".join(known["fix_versions"]) or "no version yet"
    return f"  {package['name']} {package['version']}: {known['id']}, mended in {fixed}"


def _tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    last = (lines or ["it gave no reason"])[-1]
    return re.sub(r"^ERROR:[\w.]+:", "", last).rstrip(".")[:300]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bill to the file given and audit the lock; the exit code is 0 if all is well."""
    (target,) = (Path(argument) for argument in (arguments or sys.argv[1:]))
    root = resources.checkout()
    try:
        if root is None:
            raise SetupError("There is no lock file beside an installed package.", "git clone")
        document = bill(root / lock for lock in _LOCKS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(document, indent=1), encoding="utf-8")
        print(f"{len(document['components'])} components are listed in {target}.")
        for lock in _LOCKS:
            print(f"{audit(root / lock)} packages of {lock} have no known vulnerability.")
    except BeatlakeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
