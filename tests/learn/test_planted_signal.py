"""Models find in the generator's recordings what was planted there, and no more than that.

One clean set of files goes through the pipeline; the tables that models learn from are taken from
the released recordings. What to expect of a model follows from truth.json alone, by integrating
the planted model over what a model cannot know: the Tobit model is not linear in popularity, so
that a planted coefficient and a coefficient of least squares are two numbers.

Where the artist matters, recordings of one artist alone are used: which of several artists carries
the planted effect is not in the files. Recordings of one Beatport row alone are used, since a
repeated row may state another genre than the recording's own.

Not tested, since no data of this size could tell: the limit of accuracy in three bins of equal
width. Nearly all tracks are in the lowest, and the limit lies three in ten thousand above what
always naming it gives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from beatlake import cli
from beatlake.lake import Lake
from beatlake.learn import source, task_files
from beatlake.learn.judgement.compare import difference
from beatlake.learn.judgement.scores import Score
from beatlake.learn.training import Judged, Training, train
from beatlake.synth import generate
from small_lake import SMALL, run_arguments

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.full

SCALE = 0.02
SEED = 7
REFERENCE_GENRE = "5"
SEASONS = ("spring", "summer", "autumn")

TASK = """
name: planted
question: What the generator planted.
table: {{row_key: [isrc]}}
entities:
  recording: [isrc]
  same_recording: [artist, title]
  artists: {{columns: [artist], split: false}}
  date: {{column: release_date_text}}
label: {{column: {label}, kind: number}}
features:
  groups:
    known: {{features: [{known}]}}
    {more}
  scale: none
splits: {{headline: artist, rungs: [{rungs}], test: {test}, validation: 0.1}}
importance: {{rows: 200, repeats: 1}}
estimators:
{estimators}
"""


@dataclass(frozen=True)
class Planted:
    """The truth and the recordings made by it: numpy columns of one row per recording."""

    truth: dict[str, Any]
    columns: dict[str, Any]
    known: tuple[str, ...]

    @property
    def signal(self) -> dict[str, Any]:
        """The planted model of track popularity."""
        return dict(self.truth["signal"]["track_popularity"])

    def rows(self, chosen: Any) -> Planted:
        """Some of the recordings."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Planted(self.truth, columns, self.known)

    def design(self) -> Any:
        """The features that a model is given, as a matrix."""
        return np.column_stack([self.columns[name] for name in self.known])

    def mu(self) -> Any:
        """The part of eta that these features, genre by season among them, decide."""
        model, columns = self.signal, self.columns
        by_season = [
            [model["season"][season] + model["season_genre"][season][genre]]
            for season, genre in zip(columns["season"], columns["genre"], strict=True)
        ]
        genre = [model["genre"][genre] for genre in columns["genre"]]
        audio = sum(model["audio"][name] * columns[name] for name in model["audio"])
        year = model["year_per_decade"] * columns["decades"]
        return model["intercept"] + np.ravel(by_season) + genre + audio + year

    def write(self, path: Path) -> Path:
        """The recordings as a Parquet file."""
        pq.write_table(pa.table(self.columns), path)
        return path


@pytest.fixture(scope="module")
def planted(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """All recordings with sound, popularity, a date with a month and one genre."""
    folder = tmp_path_factory.mktemp("planted")
    truth = generate(
        folder / "input", scale=SCALE, seed=SEED, clean=True, processes=1, progress=False
    )
    lake = folder / "lake"
    assert cli.main(run_arguments(folder / "input", lake, *SMALL)) == 0
    found = source.released(Lake(lake), "silver.recordings")
    model = truth["signal"]["track_popularity"]
    names = {"loudness": "loudness_db"}
    audio = [
        f"({names.get(name, name)} - {centre}) / {spread} AS {name}"
        for name, (centre, spread) in model["audio_standardised_by"].items()
    ]
    first, last = model["year_clipped_to"]
    genres = [genre for genre in model["genre"] if genre != REFERENCE_GENRE]
    table = duckdb.sql(
        f"""
        SELECT isrc, title, artist_keys[1] AS artist, len(artist_keys) AS artists,
            release_date_text, release_season AS season, genre_id::VARCHAR AS genre,
            (least(greatest(release_year, {first}), {last}) - {model["year_centre"]}) / 10
                AS decades,
            {", ".join(audio)},
            {", ".join(f"(release_season = '{s}')::DOUBLE AS {s}" for s in SEASONS)},
            {", ".join(f"(genre_id = {g})::DOUBLE AS genre_{g}" for g in genres)},
            track_popularity::DOUBLE AS popularity, sqrt(track_popularity) AS root
        FROM ({found.scan})
        WHERE has_audio AND danceability IS NOT NULL AND track_popularity IS NOT NULL
            AND release_date_source = 'spotify' AND release_month IS NOT NULL
            AND n_beatport_tracks = 1
        ORDER BY isrc
        """
    ).to_arrow_table()
    known = (*model["audio"], "decades", *SEASONS, *(f"genre_{genre}" for genre in genres))
    columns = {
        name: np.array(table.column(name).to_pylist(), dtype=object)
        if pa.types.is_string(table.schema.field(name).type)
        else table.column(name).to_numpy()
        for name in table.column_names
    }
    return Planted(truth, columns, known)


def trained(
    spark: SparkSession,
    folder: Path,
    rows: Planted,
    label: str,
    estimators: str,
    *,
    rungs: str = "artist",
    test: float = 0.25,
    more: str = "",
) -> Training:
    """Train on some recordings, through what `beatlake train` calls."""
    asked = task_files.parse(
        TASK.format(
            label=label,
            known=", ".join(rows.known),
            more=more,
            rungs=rungs,
            test=test,
            estimators=estimators,
        ),
        "planted",
    )
    table = rows.write(folder / "recordings.parquet")
    return train(spark, Lake(folder / "lake"), asked, source.path(table, asked.table))


def judged(training: Training, rung: str, estimator: str) -> Judged:
    wanted = (rung, estimator)
    (found,) = (j for j in training.judged if (j.rung.name, j.estimator.name) == wanted)
    return found


def score(training: Training, rung: str, estimator: str) -> Score:
    """R² with its interval."""
    found = judged(training, rung, estimator).score("r2")
    assert found is not None
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return found


@dataclass(frozen=True)
class Moments:
    """What the planted model says of popularity, or of its square root, given mu.

    The artists' effects are Student's t with four degrees of freedom, cut off at 5 either way, with
    the mean and standard deviation of truth.json, each artist once.
    """

    grid: Any
    mean: Any
    between: Any
    within: Any

    @classmethod
    def of(cls, truth: dict[str, Any], label: str) -> Moments:
        """Integrate over artists (quantiles), releases and noise (both normal)."""
        model, artists = truth["signal"]["track_popularity"], truth["signal"]["artists"]
        effect = np.clip(stats.t.ppf((np.arange(2000) + 0.5) / 2000, 4), -5, 5)
        effect = artists["mean"] + artists["sd"] * (effect - effect.mean()) / effect.std()
        grid = np.linspace(-4, 6, 201)
        reach = grid[:, None] + effect[None, :]
        unknown = np.hypot(model["release_sd"], model["noise_sd"])
        values = np.arange(101.0) if label == "popularity" else np.sqrt(np.arange(101.0))
        mean, square = np.zeros_like(reach), np.zeros_like(reach)
        for step in range(1, 101):
            above = stats.norm.cdf((reach - np.sqrt(step - 0.5)) / unknown)
            mean += (values[step] - values[step - 1]) * above
            square += (values[step] ** 2 - values[step - 1] ** 2) * above
        return cls(grid, mean.mean(axis=1), mean.var(axis=1), (square - mean**2).mean(axis=1))

    def at(self, mu: Any) -> tuple[Any, Any, Any]:
        """For each mu the mean, the variance between artists, and that within one."""
        assert self.grid[0] < mu.min() < mu.max() < self.grid[-1]
        tabled = self.mean, self.between, self.within
        mean, between, within = (np.interp(mu, self.grid, values) for values in tabled)
        return mean, between, within


@dataclass(frozen=True)
class Recovered:
    """Coefficients of a linear regression less those that the planted model implies."""

    away: dict[str, float]
    error: dict[str, float]
    found: dict[str, float]
    rows: int

    @classmethod
    def of(cls, planted: Planted, training: Training) -> Recovered:
        """Implied are the coefficients of least squares of what is expected, without any noise."""
        table = judged(training, "artist", "linear_regression").model.facts()["table"]
        expected, _, _ = Moments.of(planted.truth, "root").at(planted.mu())
        design = np.column_stack([planted.design(), np.ones(len(expected))])
        names = (*planted.known, "intercept")
        implied = dict(zip(names, np.linalg.lstsq(design, expected, rcond=None)[0], strict=True))
        found = table["coefficients"] | {"intercept": table["intercept"]}
        away = {name: found[name] - implied[name] for name in names}
        return cls(away, table["standard_errors"], found, table["rows"])

    def outside(self, level: float, names: tuple[str, ...]) -> list[str]:
        """The coefficients whose own t interval of this level does not hold the implied one."""
        width = stats.t.ppf((1 + level) / 2, self.rows - len(self.away))
        return [name for name in names if abs(self.away[name]) > width * self.error[name]]


def alone(planted: Planted) -> Planted:
    """The recordings of one artist."""
    return planted.rows(planted.columns["artists"] == 1)


def one_of_each(planted: Planted) -> Planted:
    """One recording of each artist, the first by ISRC."""
    rows = alone(planted)
    _, first = np.unique(rows.columns["artist"].astype(str), return_index=True)
    return rows.rows(np.sort(first))


def most_recorded(planted: Planted, number: int) -> Planted:
    """All recordings of the artists that have the most."""
    rows = alone(planted)
    artist = rows.columns["artist"].astype(str)
    names, counts = np.unique(artist, return_counts=True)
    return rows.rows(np.isin(artist, names[np.lexsort((names, -counts))[:number]]))


def test_all_coefficients_are_the_planted_ones_within_their_own_intervals(
    planted: Planted, spark: SparkSession, tmp_path: Path
) -> None:
    """One recording of each artist, since the intervals of least squares need independent errors.

    All 42 intervals together hold at 95 % (Bonferroni); of the single ones no more miss than 999 of
    1,000 draws of 42 would.
    """
    rows = one_of_each(planted)
    training = trained(spark, tmp_path, rows, "root", "  - {name: linear_regression}", test=0.1)
    found = Recovered.of(rows, training)
    names = tuple(found.away)
    assert len(names) == 42
    assert found.rows > 5_000
    assert found.outside(1 - 0.05 / len(names), names) == []
    assert len(found.outside(0.95, names)) <= stats.binom.ppf(0.999, len(names), 0.05)
    # What was planted strongly is there.
    for name in ("danceability", "instrumentalness", "decades", "genre_15", "genre_96"):
        assert abs(found.found[name]) > 3 * found.error[name]


def test_coefficients_of_sound_are_told_from_their_neighbours(
    planted: Planted, spark: SparkSession, tmp_path: Path
) -> None:
    """All recordings: sound differs within an artist, whose effect then does not make it unsure.

    Six intervals together at 95 % (Bonferroni). Those of genre, season and year are not right here:
    they vary mostly between artists, so that the errors of their rows are not independent.
    """
    rows = alone(planted)
    training = trained(spark, tmp_path, rows, "root", "  - {name: linear_regression}", test=0.1)
    found = Recovered.of(rows, training)
    sound = tuple(planted.signal["audio"])
    assert found.outside(1 - 0.05 / len(sound), sound) == []
    assert max(found.error[name] for name in sound) < 0.015
    assert len(found.outside(0.95, tuple(found.away))) > stats.binom.ppf(0.999, 42, 0.05)


def test_no_model_beats_the_planted_limit_and_a_good_one_comes_near(
    planted: Planted, spark: SparkSession, tmp_path: Path
) -> None:
    """New artists: what is known of them is genre, date and sound.

    The limit is the R² of truth.json, and on the very test rows that of the planted expectation.
    """
    training = trained(
        spark,
        tmp_path,
        planted,
        "popularity",
        "  - {name: linear_regression}\n"
        "  - {name: xgboost, parameters: {n_estimators: 300, max_depth: 3, learning_rate: 0.05,"
        " early_stopping_rounds: 20}}",
    )
    limit = planted.truth["signal"]["ceilings"]["r2_genre_date_audio"]
    expected, _, _ = Moments.of(planted.truth, "popularity").at(planted.mu())
    known = dict(zip(planted.columns["isrc"], expected, strict=True))
    for name in ("linear_regression", "xgboost"):
        found = score(training, "artist", name)
        assert found.low < limit < found.high
        predictions = judged(training, "artist", name).predictions
        assert predictions is not None
        best = replace(predictions, y_pred=np.array([known[row] for row in predictions.row_id]))
        beside = difference(predictions, best, metric="r2", salt="planted")
        assert beside.n > 10_000
        assert beside.first_is != "better"
        assert beside.value > -0.02


def test_the_artist_rung_falls_by_the_planted_artist_effect(
    planted: Planted, spark: SparkSession, tmp_path: Path
) -> None:
    """A model that is told who the artist is knows the artist's effect on the recording rung alone.

    The planted model gives the variance between artists a, within one w and of what else is known
    k. From n recordings an artist's effect is known up to a * w / (n * a + w), so that R² is
    predicted as k / (k + a + w) for new artists and more by a share of n * a / (n * a + w) of
    a / (k + a + w) for known ones; the latter is the fall. It lies in the interval of the
    difference of two scores, taken to be independent: each has its interval over artists.
    """
    rows = most_recorded(planted, 500)
    artist = rows.columns["artist"].astype(str)
    # This penalty draws an artist's mean towards all as if 1.5 recordings more were at that of all,
    # about w / a.
    ridge = f"{{reg_param: {1.5 / len(artist):.9f}, standardization: false}}"
    training = trained(
        spark,
        tmp_path,
        rows,
        "root",
        f"  - {{name: linear_regression, parameters: {ridge}}}",
        rungs="recording, artist",
        more="who: {features: [{name: artist, form: category, top: 500}]}",
    )
    expected, between, within = Moments.of(planted.truth, "root").at(rows.mu())
    a, w, k = between.mean(), within.mean(), expected.var()
    _, place, counts = np.unique(artist, return_inverse=True, return_counts=True)
    n = 0.75 * counts[place]
    fall = a / (a + w + k) * (n * a / (n * a + w)).mean()
    new = k / (a + w + k)
    assert 0.3 < fall < 0.5
    known_artists, new_artists = (
        score(training, rung, "linear_regression") for rung in ("recording", "artist")
    )
    assert new_artists.low < new < new_artists.high
    assert known_artists.low < new + fall < known_artists.high
    # No higher than if the artists' effects were known.
    assert known_artists.low < (a + k) / (a + w + k)
    width = np.hypot(*((one.high - one.low) / 2 for one in (known_artists, new_artists)))
    assert width < 0.1
    assert abs(known_artists.value - new_artists.value - fall) < width
    share = planted.truth["signal"]["variance"]
    assert share["artist"] / share["eta"] == pytest.approx(a / (a + w + k), abs=0.03)
