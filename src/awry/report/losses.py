"""How the losses of a network fell while it learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from awry.report.charts import Axis, Chart

_NAMES = {"loss": "training rows", "held_out": "held-out rows"}
#: Columns of a history that are no losses.
_SETTINGS = ("lr", "batch_size")


def loss_chart(history: Mapping[str, Sequence[float]]) -> Chart:
    """The losses of a training, epoch by epoch, and the epoch whose weights were kept.

    Parameters
    ----------
    history : dict of str to sequence
        A network detector's ``history_``.

    Examples
    --------
    >>> "held-out rows" in loss_chart({"loss": [3, 2, 1], "held_out": [3, 2, 2.5]}).html()
    True
    """
    losses = {k: np.asarray(v) for k, v in history.items() if k not in _SETTINGS}
    values = np.concatenate([*losses.values()])
    epochs = max(map(len, losses.values()))
    chart = Chart(
        "Losses",
        Axis(1, epochs, label="epoch"),
        Axis(float(min(values.min(), 0.0)), float(values.max()), label="mean loss"),
    )
    for i, (name, line) in enumerate(losses.items()):
        css = f"series{i % 6}"
        chart.line(np.arange(1, len(line) + 1), line, css)
        chart.legend.append((css, _NAMES.get(name, name.replace("_", " "))))
    if "held_out" in losses:
        chart.rule(int(losses["held_out"].argmin()) + 1, "weights kept")
    return chart
