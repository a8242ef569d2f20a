"""Task files: what they may say, and how a mistake in one is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import songs

from beatlake import cli
from beatlake.config import ConfigError
from beatlake.learn import estimators, task_files
from beatlake.learn.candidates import candidates
from beatlake.learn.estimators import networks
from beatlake.learn.task import with_estimators

EXAMPLES = Path(__file__).parents[2] / "conf" / "tasks" / "examples"


@pytest.mark.parametrize("name", task_files.built_in())
def test_a_built_in_task_has_its_name_and_known_parameters(name: str) -> None:
    found = task_files.load(name)
    assert found.name == name
    if any(estimator.name in networks.NAMES for estimator in found.estimators):
        pytest.importorskip("torch", reason="networks need the extra torch: make torch")
    estimators.check(found)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_an_example_has_the_name_of_its_file(path: Path) -> None:
    found = task_files.load(str(path))
    assert found.name == path.stem
    estimators.check(found)


def test_what_the_readme_says_of_estimators_is_a_task() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    said = re.findall(r"```yaml\n(estimators:.*?)```", readme.read_text(encoding="utf-8"), re.S)
    tuned, network = (
        task_files.parse(re.sub(r"estimators:\n.*\n", one, songs.TASK), "README.md") for one in said
    )
    estimators.check(tuned)
    (estimator,) = tuned.estimators
    assert estimator.search is not None
    assert len(candidates(estimator.search, estimator.name, tuned.seed)) == 20
    (estimator,) = network.estimators
    networks.check(estimator.name, network.kind, estimator.parameters, {})


def test_estimators_take_the_place_of_those_of_a_task_and_keep_their_parameters() -> None:
    text = songs.altered(
        songs.TASK,
        ("- {name: logistic_regression}", "- {name: xgboost, parameters: {max_depth: 3}}"),
    )
    asked = task_files.parse(text, "songs")
    found = with_estimators(asked, ["torch_mlp", "xgboost", "torch_mlp"]).estimators
    assert [(one.name, one.parameters) for one in found] == [
        ("torch_mlp", {}),
        ("xgboost", {"max_depth": 3}),
    ]
    with pytest.raises(ConfigError, match="linear_regression cannot answer songs; what can: "):
        with_estimators(asked, ["linear_regression"])


def test_built_in_tasks_use_columns_of_the_table_that_they_name() -> None:
    from beatlake.learn.columns import named_by
    from beatlake.tables import registry

    for name in task_files.built_in():
        found = task_files.load(name)
        assert found.table.name is not None
        there = set(registry.table(found.table.name).column_names)
        if found.table.join:
            other = set(registry.table(found.table.join.name).column_names)
            assert set(found.table.join.by) <= there & other
            assert set(found.table.join.columns) <= other
            there |= set(found.table.join.columns)
        assert set(named_by(found)) <= there


def test_genre_families_take_in_every_beatport_genre_once() -> None:
    import csv

    import beatlake.synth

    assert beatlake.synth.__file__ is not None
    path = Path(beatlake.synth.__file__).parent / "data" / "bp_genre.csv"
    with path.open(encoding="utf-8") as lines:
        genres = {row["genre_name"] for row in csv.DictReader(lines)}
    label = task_files.load("genre_family").label
    assert label is not None
    listed = [name for family in label.families.values() for name in family]
    assert sorted(listed) == sorted(genres)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("label: {column: hit}", "label: {colum: hit}", "label.colum; did you mean column?"),
        ("ceiling: 0.99", "ceilng: 0.99", "ceilng; did you mean ceiling?"),
        ("{name: logistic_regression}", "{name: logistic}", "estimators.0.name"),
        (
            "text: {features: [{name: mood, form: category}]}",
            "text: {features: [{name: mood, fom: category}]}",
            "fom; did you mean form?",
        ),
        ("splits: {headline: artist}", "splits: {headline: random}", "splits.headline"),
        ("ceiling: 0.99", "acknowledge: {no_such: because of it}", "there is no gate no_such"),
        ("ceiling: 0.99", "acknowledge: {single_feature_auc: ok}", "a reason of at least three"),
        ("{name: logistic_regression}", "{name: linear_regression}", "cannot answer this task"),
        ("ceiling: 0.99", "resampling: {how: smot}", "resampling.how"),
    ],
)
def test_a_mistake_is_named_with_the_near_key(before: str, after: str, said: str) -> None:
    with pytest.raises(ConfigError, match="is not a task") as error:
        task_files.parse(songs.altered(songs.TASK, (before, after)), "songs.yaml")
    assert said in str(error.value)


def test_missing_packages_are_named_with_the_command_that_brings_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "xgboost" else known(name)
    )
    assert cli.main(["models", "list"]) == 2
    assert "not installed: xgboost" in capsys.readouterr().err


def test_an_unknown_task_is_told_with_the_near_one() -> None:
    with pytest.raises(ConfigError, match="did you mean genre"):
        task_files.load("genres")


def test_a_task_that_extends_another_gives_what_differs(tmp_path: Path) -> None:
    (tmp_path / "songs.yaml").write_text(songs.TASK, encoding="utf-8")
    (tmp_path / "deep").mkdir()
    path = tmp_path / "deep" / "loud.yaml"
    path.write_text(
        "extends: ../songs.yaml\nname: loud\nfeatures: {groups: {audio: {features: [energy]}}}\n"
        "estimators: [{name: random_forest}]\n",
        encoding="utf-8",
    )
    found, base = task_files.load(str(path)), task_files.parse(songs.TASK, "songs")
    assert (found.name, base.name) == ("loud", "songs")
    assert [feature.name for feature in found.features.list] == ["energy", "mood"]
    assert [estimator.name for estimator in found.estimators] == ["random_forest"]
    assert (found.label, found.entities, found.splits) == (base.label, base.entities, base.splits)
    path.write_text("extends: loud.yaml\nname: loud\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"in a circle: .*loud\.yaml -> .*loud\.yaml"):
        task_files.load(str(path))
    path.write_text("extends: gnere\nname: loud\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"There is no task gnere; did you mean genre\?"):
        task_files.load(str(path))
    path.write_text("extends: gone.yaml\nname: loud\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"Cannot read the task file .*gone\.yaml"):
        task_files.load(str(path))


@pytest.mark.parametrize("name", ["popularity", "track_popularity"])
def test_rows_of_popularity_0_are_left_out_in_a_task_of_their_own(name: str) -> None:
    every, some = task_files.load(name), task_files.load(f"{name}_nonzero")
    assert every.label == some.label is not None
    (limit,) = set(some.table.where) - set(every.table.where)
    assert (limit.column, limit.above) == (every.label.column, 0)
    changed = ("name", "table", "limits")
    assert some.model_dump(exclude=set(changed)) == every.model_dump(exclude=set(changed))


def test_an_unknown_parameter_and_code_are_refused() -> None:
    text = songs.altered(
        songs.TASK,
        ("{name: logistic_regression}", "{name: xgboost, parameters: {max_dept: 3, callbacks: x}}"),
    )
    with pytest.raises(ConfigError, match="did you mean max_depth") as error:
        estimators.check(task_files.parse(text, "songs"))
    assert "pickle" in str(error.value)
