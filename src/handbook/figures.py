"""Plots in the house style: inline SVG that takes its colours and its font from the page, in either colour scheme.

Importing this module sets matplotlib's style. A fence with `output="figure" alt="…"` shows the figure in its last line.
`figure(fig, alt="…")` is the HTML that it becomes, to be printed with other HTML under `output="html"`.
"""

from __future__ import annotations

import hashlib
import io
import re
from html import escape

import matplotlib
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.figure import Figure

INK, MUTED, GRID = "#22262c", "#5d574b", "#d9cfba"
SERIES = ["#17756a", "#b5790a", "#a8321f", "#3468b8", "#5c2552", "#8a8270"]
DASHES = ["-", "--", ":", "-.", (0, (7, 1.5, 1, 1.5, 1, 1.5)), (0, (10, 3))]

# Each colour that is drawn stands for a variable of docs/assets/css/tokens.css, and has its value in the light scheme.
VARIABLES = {INK: "--wm-ink", MUTED: "--wm-muted", GRID: "--wm-grid"} | {
    colour: f"--wm-{number}" for number, colour in enumerate(SERIES, start=1)
}

matplotlib.use("svg")
plt.rcParams.update(
    {
        "figure.figsize": (6.4, 3.4),
        "figure.constrained_layout.use": True,
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "axes.facecolor": "none",
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        # A series is told by its dashes too, not by colour alone.
        "axes.prop_cycle": cycler(color=SERIES) + cycler(linestyle=DASHES),
        "grid.color": GRID,
        "text.color": INK,
        "patch.edgecolor": INK,
        "hatch.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "legend.frameon": False,
        "legend.handlelength": 3,  # a whole period of the longest dashes
        "lines.linewidth": 2,
        "lines.solid_capstyle": "round",
        "font.size": 11,
        "svg.fonttype": "none",  # text stays text: it can be found, copied and set in the page's font
    }
)


def figure(fig: Figure, alt: str, caption: str = "") -> str:
    """Draw a matplotlib figure as HTML, and close it.

    Args:
        fig: The figure, drawn in the colours of this module.
        alt: What it shows, for those who do not see it. Each figure of a page has another.
        caption: A line below it.

    Returns:
        A `<figure class="plot">` with the plot as inline SVG.

    Raises:
        ValueError: `alt` is empty.
    """
    if not alt.strip():
        raise ValueError("a figure needs a text alternative: figure(fig, alt='what it shows')")
    drawn = io.StringIO()
    with plt.rc_context({"svg.hashsalt": alt}):  # the same plot is the same text in every build
        fig.savefig(drawn, format="svg")
    plt.close(fig)
    return (
        f'<figure class="plot">{_inline(drawn.getvalue(), alt)}'
        + (f"<figcaption>{escape(caption)}</figcaption>" if caption else "")
        + "</figure>"
    )


def _inline(svg: str, alt: str) -> str:
    """Make matplotlib's SVG file an element of a page."""
    view_box = re.search(r'viewBox="[^"]+"', svg)
    # Before the drawing come the date, and a style for `*` that would hold for the whole page: the root has it instead.
    drawing = re.search(r'<g id="figure_1">.*(?=</svg>)', svg, re.DOTALL)
    assert view_box and drawing, "matplotlib writes its SVG in another way than it did"
    prefix = f"plot-{hashlib.sha256(alt.encode()).hexdigest()[:8]}-"
    body = re.sub(r'<g id="[^"]+">', "<g>", drawing.group())
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", body)
    body = re.sub(r" font-family: [^;\"]+;", "", body)  # the page's own
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable}, {colour})")
    root = 'role="img" width="100%" style="stroke-linejoin: round; stroke-linecap: butt"'
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {names} {view_box.group()} {root} aria-label="{escape(alt)}">\n{body}</svg>'
