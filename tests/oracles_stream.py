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


class CutTree:
    """A random cut tree read from the arrays of the kernel, to ask it what it is."""

    def __init__(self, state, tree):
        self.box, self.at, self.links = state.box[tree], state.at[tree], state.links[tree]
        self.root = int(state.top[tree, 2])
        self.d = self.box.shape[1] // 2

    def is_leaf(self, node):
        return self.links[node, 1] < 0

    def points(self, node):
        """Points below ``node``, each as often as it is there; shape (count, d)."""
        if self.is_leaf(node):
            return np.tile(self.box[node, self.d :], (self.links[node, 3], 1))
        return np.vstack([self.points(child) for child in self.links[node, 1:3]])

    def nodes(self, node=None):
        node = self.root if node is None else node
        below = [] if self.is_leaf(node) else [self.nodes(c) for c in self.links[node, 1:3]]
        return [node, *(n for part in below for n in part)]

    def displacement(self, leaf, shared):
        """By the definitions: sibling's size to that of the subtree, or at the leaf alone."""
        found = []
        while leaf != self.root:
            above = self.links[leaf, 0]
            sibling = self.links[above, 1:3].sum() - leaf
            found.append((len(self.points(sibling)), len(self.points(leaf))))
            leaf = above
        return max(a / b for a, b in found) if shared else found[0][0]


def midas_scores(edges, *, relational, factor, threshold=None):
    """MIDAS, MIDAS-R and MIDAS-F as the authors' code has them, with exact counts."""
    current, total, score = ({} for _ in range(3))
    now, reciprocal, found = 1, 0.0, []
    for source, target, t in edges:
        if t > now:
            for key in current:
                if threshold is not None:
                    if score.get(key, 0.0) < threshold:
                        total[key] = total.get(key, 0.0) + current[key]
                    else:
                        total[key] = total.get(key, 0.0) * (1 + reciprocal)
                current[key] *= factor
            reciprocal, now = 1 / (t - 1), t
        values = []
        for key in [("edge", source, target), ("source", source), ("target", target)]:
            if key[0] != "edge" and not relational:
                continue
            current[key] = current.get(key, 0.0) + 1
            if threshold is None:
                total[key] = total.get(key, 0.0) + 1
            a, s = current[key], total.get(key, 0.0)
            if s == 0 or t == 1:
                values.append(0.0)
            elif threshold is None:
                values.append(((a - s / t) * t) ** 2 / (s * (t - 1)))
            else:
                values.append((a + s - a * t) ** 2 / (s * (t - 1)))
            score[key] = values[-1]
        found.append(max(values))
    return np.array(found)


def fading_histograms(rows, state, memory):
    """-log2 of the share of past rows in the bin of each projection, each row weighed by age."""
    bins, scores = state.counts.shape[1], []
    z = (rows[:, state.features] * state.weights).sum(axis=2)
    at = np.clip(np.floor((z - state.low) / state.width).astype(int) + 1, 0, bins - 1)
    for i in range(len(rows)):
        weight = np.exp(-(i - np.arange(i)) / memory)
        same = at[:i] == at[i]
        share = (weight @ same + 0.5) / (weight.sum() + 0.5 * bins) if i else np.full(1, 1 / bins)
        scores.append(-np.log2(share).mean())
    return np.array(scores)


def fading_grids(scaled, state, memory):
    """RS-Hash with exact counts of the cells, each row weighed by age."""
    cells = []
    for first, end, side in zip(state.first[:-1], state.first[1:], state.side, strict=True):
        part = slice(first, end)
        cells.append(np.floor((scaled[:, state.features[part]] + state.shift[part]) / side))
    scores = []
    for i in range(len(scaled)):
        weight = np.exp(-(i - np.arange(i)) / memory)
        counts = [weight @ (cell[:i] == cell[i]).all(axis=1) for cell in cells]
        scores.append(np.log2(1 + weight.sum()) - np.log2(1 + np.array(counts)).mean())
    return np.array(scores)


def chain_scores(z, state, window):
    """xStream with exact counts of the cells, one dictionary for each level and window."""
    chains, depth = state.feature.shape
    scores = np.full(len(z), np.nan)
    cells = np.empty((len(z), chains, depth), dtype=object)
    for i, row in enumerate(z / state.width):
        for c in range(chains):
            place = {}
            for level, f in enumerate(state.feature[c]):
                s = state.shift[c, f]
                place[f] = 2 * place[f] - s if f in place else row[f] + s
                cells[i, c, level] = tuple(sorted((g, int(np.floor(p))) for g, p in place.items()))
    for i in range(window, len(z)):
        start = (i // window - 1) * window
        last = cells[start : start + window]
        least = [
            min(
                np.log2(1 + sum(one == cells[i, c, level] for one in last[:, c, level])) + level + 1
                for level in range(depth)
            )
            for c in range(chains)
        ]
        scores[i] = np.log2(1 + window) + 1 - np.mean(least)
    return scores
