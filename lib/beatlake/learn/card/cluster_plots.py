"""The pictures of clusters: their profiles, the sweep over their number, what they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from beatlake.learn.card.canvas import BLUE, GREY, figure, label, png, styled
from beatlake.learn.judgement import Clusters

#: Profiles that a page has room for, and how many stand side by side.
PROFILES, _ACROSS = 8, 2
#: Spokes below which a radar plot shows nothing that a bar would not.
_SPOKES = 3


def radar(clusters: Clusters) -> bytes:
    """The profile of each cluster on spokes from the 5th to the 95th percentile of all rows.

    The largest clusters are shown, each beside the mean profile of all (dotted).
    """
    sizes = np.array(clusters.sizes)
    shown = np.argsort(-sizes, kind="stable")[:PROFILES]
    names = [label(name, 16) for name in clusters.features]
    angles = np.linspace(0, 2 * np.pi, len(names), endpoint=False)
    mean = (clusters.profile * sizes[:, None]).sum(axis=0) / sizes.sum()
    across = min(_ACROSS, len(shown))
    down = -(-len(shown) // across)
    with styled():
        made = Figure(figsize=(6.3, 2.4 * down))
        for place, k in enumerate(shown):
            axes = made.add_subplot(down, across, place + 1, projection="polar")
            for values, style, colour in ((mean, ":", GREY), (clusters.profile[k], "-", BLUE)):
                ring = np.r_[values, values[0]]
                axes.plot(np.r_[angles, angles[0]], ring, style, color=colour, linewidth=1.4)
            axes.fill(angles, clusters.profile[k], color=BLUE, alpha=0.15)
            axes.set_xticks(angles, names, fontsize=6)
            axes.tick_params(axis="x", pad=-1)
            # A name begins or ends at its spoke, so that none lies across the ring.
            for text, angle in zip(axes.get_xticklabels(), angles, strict=True):
                side = np.cos(angle)
                text.set_horizontalalignment(
                    "center" if abs(side) < 0.1 else "left" if side > 0 else "right"
                )
            axes.set_ylim(0, 1)
            axes.set_yticks([0.5], [""])
            axes.set_title(f"cluster {clusters.clusters[k]} ({sizes[k]:,} rows)", fontsize=8)
        # Names are moved after they were measured, and so need more room than was reckoned.
        made.set_layout_engine("constrained", w_pad=0.2, h_pad=0.12)
        return png(made)


def has_radar(clusters: Clusters) -> bool:
    """Whether there are spokes enough."""
    return len(clusters.features) >= _SPOKES


def sweep(lines: Sequence[Mapping[str, float | int | None]]) -> bytes:
    """The sum of squares and the three indices by the number of clusters."""
    drawn = {
        "within": "sum of squares within",
        "silhouette": "silhouette (more is better)",
        "calinski_harabasz": "Calinski-Harabasz (more is better)",
        "davies_bouldin": "Davies-Bouldin (less is better)",
    }
    k = [float(line["k"] or 0) for line in lines]
    with styled():
        made, _ = figure(4.2)
        made.clear()
        for axes, (name, title) in zip(made.subplots(2, 2).flat, drawn.items(), strict=True):
            values = [np.nan if line[name] is None else line[name] for line in lines]
            axes.plot(k, values, "o-", color=BLUE, markersize=4)
            axes.set_title(title)
            axes.set_xlabel("clusters asked for")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid()
        return png(made)
