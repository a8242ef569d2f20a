"""Delta's jars: only the pinned bytes are used, wherever they come from."""

from __future__ import annotations

import hashlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from beatlake import jars
from beatlake.errors import SetupError
from beatlake.jars import Jar

GOOD = b"the bytes that were pinned"
JAR = Jar("org.example:lake:1.0", len(GOOD), hashlib.sha256(GOOD).hexdigest())


def downloads(content: bytes | None):
    """A resolver that brings these bytes, or that must not be asked."""

    def resolve(wanted: Sequence[Jar], scratch: Path, environ: Mapping[str, str]) -> None:
        assert content is not None, "the network was asked"
        for jar in wanted:
            (scratch / jar.filename).write_bytes(content)

    return resolve


def test_fetch_once_then_no_network(tmp_path: Path) -> None:
    environ = {"BEATLAKE_CACHE": str(tmp_path)}

    first = jars.fetch(environ, [JAR], downloads(GOOD))
    second = jars.fetch(environ, [JAR], downloads(None))

    assert first == second == [tmp_path / "jars" / "lake-1.0.jar"]
    assert [path.name for path in tmp_path.iterdir()] == ["jars"]


def test_downloaded_jar_with_other_bytes_never_enters_the_cache(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"lake-1.0.jar has SHA-256 \w+… where \w+… is pinned"):
        jars.fetch({"BEATLAKE_CACHE": str(tmp_path)}, [JAR], downloads(b"malice"))

    assert list((tmp_path / "jars").iterdir()) == []


def test_jar_changed_in_the_cache_is_refused_and_fetch_mends_it(tmp_path: Path) -> None:
    environ = {"BEATLAKE_CACHE": str(tmp_path)}
    (path,) = jars.fetch(environ, [JAR], downloads(GOOD))
    path.write_bytes(GOOD[::-1])

    with pytest.raises(SetupError, match="SHA-256") as refused:
        jars.verified(environ, [JAR])

    assert "jars" in refused.value.mend
    assert jars.fetch(environ, [JAR], downloads(GOOD)) == [path]
    assert path.read_bytes() == GOOD


def test_every_missing_jar_is_named(tmp_path: Path) -> None:
    other = JAR._replace(coordinate="org.example:sea:2.0")

    with pytest.raises(SetupError, match=r"lake-1.0.jar is missing; sea-2.0.jar is missing"):
        jars.verified({"BEATLAKE_CACHE": str(tmp_path)}, [JAR, other])


def test_given_folder_is_checked_and_never_written_to(tmp_path: Path) -> None:
    environ = {"BEATLAKE_JARS": str(tmp_path)}
    (tmp_path / JAR.filename).write_bytes(b"malice")

    with pytest.raises(SetupError, match="SHA-256") as refused:
        jars.fetch(environ, [JAR], downloads(None))

    assert "unset BEATLAKE_JARS" in refused.value.mend
    (tmp_path / JAR.filename).write_bytes(GOOD)
    assert jars.fetch(environ, [JAR], downloads(None)) == [tmp_path / JAR.filename]


def test_unwritable_cache_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SetupError, match="could not be written to") as refused:
        jars.fetch({"BEATLAKE_CACHE": str(tmp_path / "file")}, [JAR], downloads(GOOD))

    assert "BEATLAKE_CACHE" in refused.value.mend


def test_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ivy(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "java.io.IOException: No space left on")

    monkeypatch.setattr(jars.java, "check", lambda environ: 17)
    monkeypatch.setattr(jars.subprocess, "run", ivy)

    with pytest.raises(SetupError, match="No space left on device") as refused:
        jars.fetch({"BEATLAKE_CACHE": str(tmp_path)}, [JAR])

    assert "BEATLAKE_CACHE" in refused.value.mend


def test_no_network_is_one_sentence_within_seconds(tmp_path: Path) -> None:
    nobody_listens = "http://127.0.0.1:9"
    started = time.monotonic()

    with pytest.raises(SetupError) as refused:
        jars.fetch({"BEATLAKE_CACHE": str(tmp_path), "HTTPS_PROXY": nobody_listens})

    assert refused.value.sentence == (
        "Delta's jars could not be downloaded: "
        "the network does not reach the public jar repository."
    )
    assert "BEATLAKE_JARS" in refused.value.mend
    assert time.monotonic() - started < 60


def test_lock_pins_delta_for_the_installed_versions() -> None:
    by_name = {jar.coordinate.split(":")[1]: jar for jar in jars.pinned()}

    assert {"delta-spark_4.1_2.13", "delta-storage"} <= set(by_name)
    assert {jar.coordinate.split(":")[2] for jar in jars.pinned()} == {"4.4.0"}


def test_the_real_jars_have_the_pinned_sizes() -> None:
    assert [path.stat().st_size for path in jars.verified()] == [jar.size for jar in jars.pinned()]
