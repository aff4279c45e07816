"""ROC and precision-recall curves as one page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from awry.core.files import write_whole
from awry.metrics.evaluation import Evaluation
from awry.report import charts

_SHOWN = ("auroc", "auprc", "best_f1", "f1", "precision", "recall", "precision_at_k", "cpu_seconds")


def curve_charts(found: Sequence[Evaluation]) -> list[charts.Chart]:
    """Precision against recall, and true against false positives, one line per detector."""
    from sklearn.metrics import precision_recall_curve, roc_curve

    pr, roc = [], []
    for one in found:
        precision, recall, _ = precision_recall_curve(one.y, one.scores)
        false, true, _ = roc_curve(one.y, one.scores)
        pr.append((f"{one.name} {one.metrics['auprc']:.3f}", *_steps(recall, precision)))
        roc.append((f"{one.name} {one.metrics['auroc']:.3f}", false, true))
    base = float(found[0].y.mean())
    first = charts.curves("Precision and recall", pr, "recall", "precision")
    first.rule(base, f"chance {base:.3f}", axis="y")
    first.caption = "Beside each name: the area under its curve (average precision)."
    second = charts.curves("ROC", roc, "false positive rate", "true positive rate")
    return [first, second]


def _steps(recall: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line whose area is the average precision, from curves in falling order of recall."""
    last = np.append(recall[1:] != recall[:-1], True)
    recall, precision = recall[last], precision[last]
    return np.repeat(recall, 2)[1:-1], np.repeat(precision[:-1], 2)


def write_curves(found: Sequence[Evaluation], path: str | Path) -> None:
    """Write the curves and the table of metrics of ``found`` to a self-contained page."""
    pictures = "".join(chart.html() for chart in curve_charts(found))
    head = "".join(f"<th>{name}</th>" for name in ("detector", *_SHOWN))
    body = "".join(
        f"<tr><td>{html.escape(one.name)}</td>"
        + "".join(f"<td>{charts.number(float(one.metrics[k]))}</td>" for k in _SHOWN)
        + "</tr>"
        for one in found
    )
    rows, odd = len(found[0].y), int(found[0].y.sum())
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>awry evaluation</title>'
        f'<style>{charts.style()}</style><body class="awry page"><h1>Evaluation</h1>'
        f'<p class="soft">{rows:,} labelled rows, {odd:,} anomalies.</p>'
        f'<section class="charts">{pictures}</section><div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></body></html>"
    )
    write_whole(path, page.encode())
