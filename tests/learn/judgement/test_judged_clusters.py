"""Clusters against scikit-learn, a textbook's figures and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.cluster import KMeans

from beatlake.errors import InputError
from beatlake.learn.judgement import clustering, sweep
from beatlake.learn.judgement.agreement import ari, nmi, purity


def blobs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of points, and which each point is of."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, 3, 600)
    return rng.normal(size=(600, 4)) + np.eye(3, 4)[of] * 4, of


def scores(found) -> dict[str, float | None]:
    return {score.metric: score.value for score in found.scores}


def test_a_textbooks_clustering() -> None:
    # Manning, Raghavan and Schuetze 2008, "Introduction to Information Retrieval", figure 16.4:
    # three clusters of x, o and diamonds; purity 0.71, NMI 0.36 (table 16.2).
    table = np.array([[[5, 1, 0], [1, 4, 1], [2, 0, 3]]])

    assert purity(table)[0] == pytest.approx(0.71, abs=0.005)
    assert nmi(table)[0] == pytest.approx(0.36, abs=0.005)
    # Its pairs: 20 of one class in one cluster, of 40 in clusters and 44 in classes, of 136.
    assert ari(table)[0] == pytest.approx((20 - 40 * 44 / 136) / (42 - 40 * 44 / 136))


def test_indices_are_those_of_scikit_learn() -> None:
    points, of = blobs()
    labels = np.random.default_rng(1).integers(0, 3, 600) * (of == 0) + of

    found = clustering(points, labels, of.astype(str), salt="")

    assert scores(found) == pytest.approx(
        {
            "silhouette": sk.silhouette_score(points, labels),
            "calinski_harabasz": sk.calinski_harabasz_score(points, labels),
            "davies_bouldin": sk.davies_bouldin_score(points, labels),
            "purity": sk.cluster.contingency_matrix(of, labels).max(axis=0).sum() / 600,
            "nmi": sk.normalized_mutual_info_score(of, labels),
            "ari": sk.adjusted_rand_score(of, labels),
        }
    )
    assert found.table is not None
    assert (found.table == sk.cluster.contingency_matrix(labels, of)).all()


def test_means_and_sizes_by_hand() -> None:
    points = np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 10.0]])

    found = clustering(points, np.array([5, 5, 8]), salt="", names=("energy", "tempo"))

    assert found.clusters == (5, 8)
    assert found.sizes == (2, 1)
    assert found.means.tolist() == [[1, 10], [4, 10]]
    # Of the range from the 5th percentile, 0.2, to the 95th, 3.8; a constant feature has none.
    assert found.profile == pytest.approx(np.array([[0.8 / 3.6, 0], [1, 0]]))
    assert found.features == ("energy", "tempo")


def test_intervals_are_drawn_over_artists() -> None:
    points, of = blobs()
    artist = np.array([f"artist {k // 20}" for k in range(600)])

    labels = np.where(np.random.default_rng(1).random(600) < 0.8, of, 0)

    found = clustering(points, labels, of, salt="", group=artist)

    for score in found.scores:
        if score.metric in {"silhouette", "nmi", "ari", "purity"}:
            assert score.groups == 30
            assert score.low is not None
            assert score.high is not None
            assert score.low <= score.value <= score.high
        else:
            assert score.interval == "no interval: not a function of sums"


def test_noise_belongs_to_no_cluster() -> None:
    points, of = blobs()
    labels = np.where(np.arange(600) % 6 == 0, -1, of)
    inside = labels != -1

    found = clustering(points, labels, of, salt="")

    assert found.noise == 100
    assert sum(found.sizes) == 500
    assert scores(found)["silhouette"] == pytest.approx(
        sk.silhouette_score(points[inside], labels[inside])
    )
    assert scores(found)["nmi"] == pytest.approx(sk.normalized_mutual_info_score(of, labels))
    assert found.table is not None
    assert found.table.shape == (4, 3)
    assert found.table[-1].sum() == 100


def test_rows_in_another_order_change_nothing_to_the_last_digit() -> None:
    points, of = blobs()
    artist = np.array([f"artist {k // 20}" for k in range(600)])
    mixed = np.random.default_rng(3).permutation(600)

    one = clustering(points, of, of, salt="s", group=artist, sample=200)
    other = clustering(
        points[mixed], of[mixed], of[mixed], salt="s", group=artist[mixed], sample=200
    )

    assert one.scores == other.scores
    assert (one.means == other.means).all()


def test_silhouettes_are_of_a_bounded_sample() -> None:
    points, of = blobs()

    found = clustering(points, of, salt="s", sample=300)

    (silhouette,) = (score for score in found.scores if score.metric == "silhouette")
    assert silhouette.n == 300
    assert silhouette.value == pytest.approx(sk.silhouette_score(points, of), abs=0.03)
    # The other indices are of all rows.
    assert {score.n for score in found.scores} == {300, 600}


def test_a_sweep_finds_the_clouds() -> None:
    points, _ = blobs()
    fitted = {k: KMeans(k, n_init=2, tol=0, random_state=0).fit(points) for k in range(2, 6)}

    lines = sweep(points, {k: model.labels_ for k, model in fitted.items()}, salt="")

    assert [line["k"] for line in lines] == [2, 3, 4, 5]
    assert max(lines, key=lambda line: line["silhouette"])["k"] == 3
    assert min(lines, key=lambda line: line["davies_bouldin"])["k"] == 3
    for line in lines:
        assert line["within"] == pytest.approx(fitted[line["k"]].inertia_)


def test_equal_rows_of_different_artists_are_sampled_alike_in_any_order() -> None:
    points = np.repeat(np.eye(3), 200, axis=0) + np.tile([0.0, 0.1], 300)[:, None]
    labels = np.repeat([0, 1, 2], 200)
    artist = np.random.default_rng(0).integers(0, 40, 600).astype(str)
    mixed = np.random.default_rng(1).permutation(600)

    one, other = (
        clustering(points[k], labels[k], salt="s", group=artist[k], sample=250)
        for k in (np.arange(600), mixed)
    )

    assert one.scores == other.scores


def test_too_many_cells_for_draws_are_said_to_be() -> None:
    labels = np.arange(2_100) // 3
    truth = np.arange(2_100) % 30

    found = clustering(np.arange(2_100.0)[:, None], labels, truth, salt="")

    (nmi_score,) = (score for score in found.scores if score.metric == "nmi")
    assert nmi_score.value == pytest.approx(sk.normalized_mutual_info_score(truth, labels))
    assert nmi_score.interval == "no interval: too many clusters x labels"


def test_one_cluster_has_no_index() -> None:
    points, of = blobs()

    found = clustering(points, np.zeros(600, dtype=int), of, salt="")

    assert scores(found) == pytest.approx(
        {
            "silhouette": None,
            "calinski_harabasz": None,
            "davies_bouldin": None,
            "purity": np.bincount(of).max() / 600,
            "nmi": 0,
            "ari": 0,
        }
    )


def test_three_rows() -> None:
    found = clustering(np.eye(3), np.array([0, 1, 2]), np.array(["a", "b", "c"]), salt="")

    assert scores(found)["silhouette"] is None
    assert scores(found)["purity"] == 1


def test_the_same_parting_agrees_fully() -> None:
    table = np.array([[[3, 0], [0, 4]], [[7, 0], [0, 0]]])

    assert nmi(table) == pytest.approx([1, 1])
    assert ari(table) == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("points", "labels", "sentence"),
    [
        (np.zeros(3), np.zeros(3), "not rows x columns"),
        (np.zeros((0, 2)), np.zeros(0), "not rows x columns"),
        (np.zeros((3, 2)), np.zeros(2), "differ in rows"),
        (np.full((3, 2), np.nan), np.zeros(3), "3 of 3 rows hold a feature that is not finite"),
        (np.zeros((3, 2)), np.full(3, -1), "All 3 rows are noise"),
    ],
)
def test_clusters_that_cannot_be_judged_are_refused(
    points: np.ndarray, labels: np.ndarray, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        clustering(points, labels, salt="")
