"""Each thing that can be wrong with a machine is one sentence and a command."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from beatlake import environment, java
from beatlake.environment import doctor
from beatlake.errors import SetupError

JAVA_25 = 'openjdk version "25.0.1" 2025-10-21 LTS'


def no_homes() -> Iterator[tuple[Path, int]]:
    return iter(())


def homes() -> Iterator[tuple[Path, int]]:
    return iter([(Path("/jvm/25"), 25), (Path("/jvm/21"), 21), (Path("/jvm/17"), 17)])


@pytest.mark.parametrize("major", [17, 21])
def test_supported_java_passes(major: int) -> None:
    assert java.check({}, lambda command: f'openjdk version "{major}.0.2"', no_homes) == major


def test_missing_java_names_the_install_command() -> None:
    def missing(command: list[str]) -> str:
        raise FileNotFoundError(command[0])

    with pytest.raises(SetupError, match=r"^No working Java was found") as found:
        java.check({}, missing, no_homes)

    assert found.value.mend == java.install_command()


def test_java_home_decides_and_a_suitable_java_elsewhere_is_named() -> None:
    asked: list[list[str]] = []

    def answer(command: list[str]) -> str:
        asked.append(command)
        return JAVA_25

    with pytest.raises(SetupError) as found:
        java.check({"JAVA_HOME": "/jvm/25"}, answer, homes)

    assert asked == [["/jvm/25/bin/java", "-version"]]
    assert found.value.sentence == (
        "Java 25 (from JAVA_HOME=/jvm/25) does not run Spark 4.1, which needs Java 17 or 21; "
        "Java 17 is installed in /jvm/17."
    )
    assert found.value.mend == "export JAVA_HOME=/jvm/17"


def test_java_stub_that_is_no_java_is_a_missing_java() -> None:
    with pytest.raises(SetupError, match="No working Java"):
        java.check({}, lambda command: "Unable to locate a Java Runtime.", no_homes)


def test_installed_javas_are_read_from_their_release_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {"a": 'X="1"\nJAVA_VERSION="21.0.4"\n', "b": 'JAVA_VERSION="17"\n'}.items():
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "java").touch(mode=0o755)
        (tmp_path / name / "release").write_text(text)
    (tmp_path / "no-release-file").mkdir()
    monkeypatch.setattr(java, "_USUAL_PLACES", (f"{tmp_path}/*",))

    assert list(java.installed()) == [(tmp_path / "a", 21), (tmp_path / "b", 17)]


@pytest.mark.parametrize(("version", "word"), [((3, 9), "old"), ((3, 13), "new"), ((4, 0), "new")])
def test_unsupported_python(version: tuple[int, int], word: str) -> None:
    finding = environment.check_python(version)

    assert not finding.ok
    assert f"too {word}" in finding.sentence
    assert "3.12" in finding.mend


def test_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_free_bytes", lambda folder: 10 << 20)

    failed = {finding.name: finding for finding in doctor() if not finding.ok}

    assert list(failed) == ["temp"]
    assert "0.0 GB free where 1.0 GB is needed" in failed["temp"].sentence
    assert "export TMPDIR=" in failed["temp"].mend
    for before, needed in (("--before-install", "3.0 GB"), ("--before-torch", "8.0 GB")):
        (found,) = [f for f in doctor(before=before) if f.name == "install"]
        assert not found.ok and needed in found.sentence


def test_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    failed = [f for f in doctor({"BEATLAKE_CACHE": str(tmp_path / "file")}) if f.name == "cache"]

    assert [finding.ok for finding in failed] == [False]
    assert failed[0].mend == "export BEATLAKE_CACHE=/a/writable/folder"


def test_no_temporary_folder_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)

    findings = {finding.name: finding for finding in doctor()}

    assert findings["temp"].mend == "export TMPDIR=/a/writable/folder"


def test_missing_and_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_installed", {"pyspark": "3.5.1"}.get)

    failed = {finding.name: finding.sentence for finding in doctor() if not finding.ok}

    assert failed == {
        "pyspark": "pyspark 3.5.1 is installed where 4.1.4 was tested.",
        "delta-spark": "delta-spark is not installed.",
    }


def test_jars_that_are_not_there(tmp_path: Path) -> None:
    (failed,) = [f for f in doctor({"BEATLAKE_CACHE": str(tmp_path)}) if not f.ok]

    assert failed.name == "jars"
    assert "jars" in failed.mend


def test_this_machine_passes_and_every_finding_is_a_sentence() -> None:
    findings = doctor()

    assert [finding for finding in findings if not finding.ok] == []
    assert {finding.name for finding in findings} == {
        *("python", "java", "memory", "temp", "cache", "pyspark", "delta-spark", "jars")
    }
    assert all(finding.sentence.endswith(".") for finding in findings)
