"""The bill of materials names what is pinned, and an audit that could not be made is no success."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from beatlake import jars, materials

ROOT = Path(__file__).parents[1]
DOCUMENT: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"tools": {}},
    "components": [{"type": "library", "name": "tomlkit", "version": "1.0", "bom-ref": "line 1"}],
    "dependencies": [{"ref": "line 1"}],
}


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Puts a tool of the test's own in the place of those that need the network."""

    def put(stdout: str, stderr: str = "", code: int = 0, report: object = None) -> None:
        def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
            if report is not None and "--output" in arguments:
                Path(arguments[arguments.index("--output") + 1]).write_text(json.dumps(report))
            return subprocess.CompletedProcess(arguments, code, stdout, stderr)

        monkeypatch.setattr(materials, "_tool", tool)

    return put


def test_every_pinned_jar_is_in_the_bill_with_its_hash_and_belongs_to_beatlake() -> None:
    made = materials.with_jars(DOCUMENT, jars.pinned())
    lines = (ROOT / "conf" / "jars.lock").read_text(encoding="utf-8").splitlines()
    wanted = [line.split() for line in lines if not line.startswith("#")]
    listed = {c["purl"]: c["hashes"] for c in made["components"] if "purl" in c}
    assert listed == {
        "pkg:maven/{}/{}@{}".format(*coordinate.split(":")): [{"alg": "SHA-256", "content": sha256}]
        for coordinate, _, sha256 in wanted
    }
    assert len(listed) == 4
    parts = next(d["dependsOn"] for d in made["dependencies"] if d["ref"] == "beatlake")
    assert parts == ["line 1", *listed]
    assert DOCUMENT["dependencies"] == [{"ref": "line 1"}]


def test_a_package_of_two_locks_is_listed_once_and_two_versions_are_listed_both() -> None:
    other = [
        {"type": "library", "name": "tomlkit", "version": "1.0", "bom-ref": "line 7"},
        {"type": "library", "name": "tomlkit", "version": "2.0", "bom-ref": "line 1"},
    ]
    made = materials.together([DOCUMENT, {**DOCUMENT, "components": other}])
    assert [part["bom-ref"] for part in made["components"]] == ["tomlkit==1.0", "tomlkit==2.0"]
    assert DOCUMENT["components"][0]["bom-ref"] == "line 1"


@pytest.mark.parametrize(
    ("report", "stderr", "code", "said"),
    [
        (None, "Traceback\nrequests.exceptions.ProxyError: no route\n", 2, "gave no answer"),
        (None, "ERROR: x: Dependency not found on PyPI and could not be audited\n", 2, "not found"),
        (None, "", 2, "it gave no reason"),
        (
            {
                "dependencies": [
                    {"name": "good", "version": "1", "vulns": []},
                    {
                        "name": "bad",
                        "version": "2",
                        "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}],
                    },
                ]
            },
            "Found 1 known vulnerability",
            4,
            "bad 2: PYSEC-1, mended in 3",
        ),
        ({"dependencies": [{"name": "good", "version": "1", "vulns": []}]}, "", 0, "1 packages"),
    ],
)
def test_an_audit_says_in_a_sentence_how_it_ended(
    tool: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    report: object,
    stderr: str,
    code: int,
    said: str,
) -> None:
    tool(json.dumps(DOCUMENT), stderr, 0, report)
    target = tmp_path / "build" / "sbom.json"
    assert materials.main([str(target)]) == code
    captured = capsys.readouterr()
    assert said in captured.out + captured.err
    assert "Traceback" not in captured.err
    assert len(json.loads(target.read_text(encoding="utf-8"))["components"]) == 5


@pytest.mark.full
def test_the_bill_is_valid_and_names_every_package_of_the_lock() -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    locks = [ROOT / "requirements" / name for name in ("dev.lock", "torch.lock")]
    made = materials.bill(locks)
    problems = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made))
    assert problems is None
    lines = [line for lock in locks for line in lock.read_text(encoding="utf-8").splitlines()]
    pinned = [line.split()[0].split("==") for line in lines if "==" in line and line[0].isalnum()]
    listed = {(c["name"].lower().replace(".", "-"), c["version"]) for c in made["components"]}
    assert {(name, version) for name, version in pinned} <= listed
    assert len(pinned) > 100
