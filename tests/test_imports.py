"""The import rules of pyproject.toml hold, and a breach of each is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Checks the package in `folder` against this checkout's rules."""
    check = "from importlinter.cli import lint_imports_command as lint; lint()"
    return subprocess.run(
        [sys.executable, "-c", check, "--no-cache", "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("module", ["exchange.tasks", "ingest.files", "datafiles", "sound.hearing"])
def test_workers_need_no_more_than_the_readme_says(module: str) -> None:
    """What they import without pyspark, which brings what it needs."""
    code = (
        f"import sys; sys.modules['pydantic'] = sys.modules['yaml'] = None;"
        f" import beatlake.{module}"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "lib")},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "lib" / "beatlake", tmp_path / "beatlake")
    return tmp_path


def test_rules_hold(copy: Path) -> None:
    done = lint(copy)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("resources", "session"),
        ("tables/planted", "ingest"),
        ("ingest/planted", "integrate"),
        ("runs/planted", "cli"),
        ("session", "synth"),
        ("synth/planted", "resources"),
        ("unknown_to_the_rules", "errors"),
    ],
)
def test_breach_is_found(copy: Path, module: str, imported: str) -> None:
    (copy / "beatlake" / "cli.py").touch()
    with (copy / "beatlake" / f"{module}.py").open("a") as file:
        file.write(f"\nimport beatlake.{imported}\n")

    done = lint(copy)

    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout or "unknown_to_the_rules" in done.stdout
