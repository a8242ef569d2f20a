"""Pictures for print: PNG at the width of a page, readable without colour.

Texts are never taken as formulas, and the same facts give the same bytes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beatlake.learn.card.document import plain

#: Inches between the margins of A4, and dots per inch that print sharp.
_WIDTH = 6.3
_DPI = 200
#: Okabe and Ito's colours, told apart by people who do not see all of them.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def styled() -> Iterator[None]:
    """Print's look, whatever the machine's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def figure(height: float) -> tuple[Figure, Axes]:
    """A page wide, so many inches high."""
    made = Figure(figsize=(_WIDTH, height))
    return made, made.add_subplot()


def png(made: Figure) -> bytes:
    """The picture as a file without the version of what drew it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is shown as boxes; the card's text has it in full.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        made.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def label(text: str, longest: int = 28) -> str:
    """A text short enough for an axis."""
    kept = plain(text)
    return kept if len(kept) <= longest else kept[: longest - 1] + "…"
