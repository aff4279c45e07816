"""Draws the pictures of ``global-local.md``: ``python docs/_pictures.py [ADBENCH_FOLDER]``.

Needs matplotlib, which awry does not; the pictures are kept in ``_static``. The last two are of
ADBench's tables, ``20_letter.npz`` and ``32_shuttle.npz`` among them, and are left as they are
where no folder of these is given.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from awry.bench.adbench import sample, split
from awry.core import registry
from awry.core.inputs import FloatArray, IntArray

OUT = Path(__file__).parent / "_static"
ORANGE, BLUE, GREEN, RED, GREY = "#d55e00", "#0072b2", "#009e73", "#cc3377", "#999999"
#: Rows of a table that is larger, as many as the dots a picture can hold.
ROWS = 3_000


def main(folder: Path | None) -> None:
    """Draw what there is data for."""
    mpl.rcParams |= {
        "figure.dpi": 110, "font.size": 9, "axes.titlesize": 10, "axes.spines.top": False,
        "axes.spines.right": False, "legend.frameon": False, "figure.facecolor": "white",
    }  # fmt: skip
    OUT.mkdir(exist_ok=True)
    _save(plane(), "global-local-plane.png")
    if folder is not None:
        _save(ranks(folder), "global-local-ranks.png")
        _save(neighbours(folder), "global-local-k.png")


def _save(figure: plt.Figure, name: str) -> None:
    figure.savefig(OUT / name, bbox_inches="tight")
    plt.close(figure)
    with Image.open(OUT / name) as picture:  # 256 colours take half the space
        small = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(OUT / name, optimize=True)


def _scores(name: str, X: FloatArray, **params: object) -> FloatArray:
    detector = registry.create(name, **params)
    if detector.card.stochastic:
        detector.set_params(random_state=0)
    return np.asarray(detector.fit(X).decision_scores_)


def _table(folder: Path, name: str) -> tuple[FloatArray, IntArray]:
    X, y = sample(folder / f"{name}.npz", 0)
    picks = np.random.default_rng(0).permutation(len(X))[:ROWS]
    X, _, y = split(X[picks], y[picks], "transductive", 0)
    return X, y


# -- two clusters of different density, and three sorts of anomalies ------------------------------


def planted_plane() -> tuple[FloatArray, dict[str, slice]]:
    """600 normal rows in the plane, then one local anomaly, three global ones and a clump of 12."""
    rng = np.random.default_rng(3)
    dense, sparse = rng.normal((-3, 0), 0.25, (300, 2)), rng.normal((3, 0), 1.4, (300, 2))
    X = [dense, sparse, [[-3.0, 1.6]], [[-1.0, 6.2], [-6.5, -4.5], [8.8, -4.8]],
         rng.normal((0.2, -5.6), 0.12, (12, 2))]  # fmt: skip
    ends = np.cumsum([0, *map(len, X)]).tolist()
    kinds = zip(("local", "global", "clump"), ends[2:], ends[3:], strict=False)
    return np.vstack(X), {kind: slice(a, b) for kind, a, b in kinds}


def plane() -> plt.Figure:
    """Scores over the plane, and the place of each planted anomaly in the ranking."""
    X, planted = planted_plane()
    cases = (
        ("isolation_forest", {}, "Isolation Forest (global)"),
        ("auto", {}, "auto (global, from a trimmed core)"),
        ("knn", {"n_neighbors": 5}, "kNN, k = 5 (between)"),
        ("lof", {"n_neighbors": 5}, "LOF, k = 5 (local)"),
        ("lof", {"n_neighbors": 40}, "LOF, k = 40 (local)"),
        ("loop", {"n_neighbors": 40}, "LoOP, k = 40 (local)"),
    )
    x, y = np.linspace(-8, 10.2, 200), np.linspace(-7, 7.5, 160)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 6.2), sharex=True, sharey=True)
    for axis, (name, params, title) in zip(axes.flat, cases, strict=True):
        detector = registry.create(name, **params)
        if detector.card.stochastic:
            detector.set_params(random_state=0)
        detector.fit(X)
        known = np.sort(detector.decision_scores_)
        # One scale for all six: 1 where a tenth of the rows score as high, 2 where a hundredth do.
        above = len(known) - np.searchsorted(known, detector.decision_function(grid))
        surprise = -np.log10((above + 1) / (len(known) + 1))
        axis.imshow(
            surprise.reshape(len(y), len(x)), origin="lower", extent=(x[0], x[-1], y[0], y[-1]),
            cmap=mpl.colormaps["Blues"].resampled(9), vmin=0.0, vmax=3.2, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        axis.plot(*X[:600].T, ".", color="#333333", ms=1.6, alpha=0.7)
        place = rankdata(-detector.decision_scores_, method="min").astype(int)
        for (kind, rows), mark in zip(planted.items(), "osD", strict=True):
            axis.plot(
                *X[rows].T, mark, mfc=ORANGE, mec="white", mew=0.6, ms=6 if mark != "D" else 4
            )
            text = _places(place[rows])
            spot = X[rows][0] if kind != "clump" else X[rows].mean(axis=0)
            axis.annotate(
                f"{kind}: {text}", spot, (0, 8), textcoords="offset points", ha="center",
                fontsize=8, color="black",
                bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 1},
            )  # fmt: skip
        axis.set(title=title, xticks=[], yticks=[])
    figure.tight_layout()
    return figure


def _places(places: IntArray) -> str:
    low, high = int(places.min()), int(places.max())
    return f"#{low}" if low == high else f"#{low}–{high}"


# -- real tables ----------------------------------------------------------------------------------


def ranks(folder: Path) -> plt.Figure:
    """Each row's rank by a global and by a local detector, anomalies coloured."""
    cases = (("20_letter", "letter"), ("43_WDBC", "WDBC"), ("32_shuttle", "shuttle"))
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.5), sharey=True)
    for axis, (name, title) in zip(axes, cases, strict=True):
        X, y = _table(folder, name)
        across, up = (rankdata(_scores(d, X)) / len(X) for d in ("isolation_forest", "lof"))
        axis.plot(across[y == 0], up[y == 0], ".", color=GREY, ms=2.4, label="normal")
        axis.plot(across[y == 1], up[y == 1], "o", color=ORANGE, mec="white", mew=0.4, ms=4.5,
                  label="labelled anomaly")  # fmt: skip
        axis.axvline(0.9, color="black", lw=0.7, ls=":")
        axis.axhline(0.9, color="black", lw=0.7, ls=":")
        only_global = ((across >= 0.9) & (up < 0.9) & (y == 1)).sum()
        only_local = ((across < 0.9) & (up >= 0.9) & (y == 1)).sum()
        both = ((across >= 0.9) & (up >= 0.9) & (y == 1)).sum()
        axis.set_title(
            f"{title}: {y.sum()} anomalies in {len(y):,}\n"
            f"both {both}, forest alone {only_global}, LOF alone {only_local}",
            fontsize=9,
        )
        axis.set_xlabel("rank by Isolation Forest")
    axes[0].set_ylabel("rank by LOF")
    axes[0].legend(loc="lower left", markerscale=1.5, frameon=True)
    figure.tight_layout()
    return figure


def neighbours(folder: Path) -> plt.Figure:
    """AUROC of kNN and LOF against the number of neighbours."""
    cases = (("20_letter", "letter"), ("26_optdigits", "optdigits"), ("32_shuttle", "shuttle"))
    ks = (2, 5, 10, 20, 50, 100, 200, 400)
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.2), sharey=True)
    for axis, (name, title) in zip(axes, cases, strict=True):
        X, y = _table(folder, name)
        for detector, shown, colour in (("knn", "kNN", BLUE), ("lof", "LOF", RED)):
            curve = [roc_auc_score(y, _scores(detector, X, n_neighbors=k)) for k in ks]
            axis.plot(ks, curve, "o-", color=colour, ms=4, label=shown)
        for detector, style in (("isolation_forest", "--"), ("auto", ":")):
            flat = roc_auc_score(y, _scores(detector, X))
            axis.axhline(flat, color=GREEN, ls=style, lw=1.4, label=detector.replace("_", " "))
        axis.axvline(y.sum(), color=GREY, lw=0.8)
        axis.text(y.sum() * 1.05, 0.215, f"{y.sum()} anomalies", color="#555555", fontsize=8)
        axis.set(title=f"{title}, {len(y):,} rows", xscale="log", xlabel="neighbours k",
                 ylim=(0.2, 1.02), xticks=[2, 5, 20, 100, 400])  # fmt: skip
        axis.xaxis.set_major_formatter(mpl.ticker.ScalarFormatter())
        axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes[0].set_ylabel("AUROC")
    axes[0].legend(loc="lower center")
    figure.tight_layout()
    return figure


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
