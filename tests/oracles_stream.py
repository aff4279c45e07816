"""Slow, obvious twins of the stream kernels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np


def half_space_masses(rows, feature, threshold, window, limit):
    """The paper's algorithms 2 and 3 on one tree: all nodes are walked over at a window's end."""
    inner = len(feature)
    last: dict[int, int] = defaultdict(int)
    present: dict[int, int] = defaultdict(int)
    found = []
    for i, row in enumerate(rows):
        if i and i % window == 0:
            last, present = present, defaultdict(int)
        path = [0]
        while path[-1] < inner:
            node = path[-1]
            path.append(2 * node + 1 + int(row[feature[node]] >= threshold[node]))
        end = next(k for k, node in enumerate(path) if node >= inner or last[node] <= limit)
        found.append(last[path[end]] * 2**end)
        for node in path:
            present[node] += 1
    return np.array(found, dtype=float)
