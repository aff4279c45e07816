"""Slow, obvious twins of the kernels."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
from scipy.sparse.csgraph import connected_components

# -- columns, histograms, projections -------------------------------------------------------------


def tails(train, x, skew, copula):
    """Tail scores of the values x against the training values, counted one by one."""
    out = []
    for value in x:
        counts = np.sum(train <= value), np.sum(train >= value)
        left, right = (-np.log(c / len(train)) if c else np.log(len(train) + 1) for c in counts)
        if skew == 0:
            out.append(left + right)
        elif copula:
            out.append(max(right if skew > 0 else left, (left + right) / 2))
        else:
            out.append(max(left, right))
    return np.array(out)


def medcouple(x):
    """Median of h over all pairs a <= m <= b; ties at the median by their rank."""
    x = np.sort(x)
    m = np.median(x)
    low, high = x[x <= m][::-1], x[x >= m]
    ties = int(np.sum(x == m))
    h = []
    for i, a in enumerate(low):
        for j, b in enumerate(high):
            if a == b:
                h.append(float(np.sign(i + j + 1 - ties)))
            else:
                h.append(((b - m) - (m - a)) / (b - a))
    return float(np.median(h))


def extreme_deviates(x, steps):
    """Largest studentised deviates, the outermost value deleted each time, and those values."""
    rest, deviates, removed = list(x), [], []
    for _ in range(steps):
        deviation = np.abs(rest - np.mean(rest))
        worst = int(np.argmax(deviation))
        scale = np.std(rest, ddof=1)
        deviates.append(deviation[worst] / scale if scale > 0 else 0.0)
        removed.append(rest.pop(worst))
    return np.array(deviates), removed


def best_bins(x, most):
    """The number of bins with the largest penalised log likelihood, by trying each."""
    n, gains = len(x), []
    for bins in range(1, most + 1):
        counts = np.histogram(x, bins)[0]
        counts = counts[counts > 0]
        likelihood = np.sum(counts * np.log(bins * counts / n))
        gains.append(likelihood - (bins - 1 + np.log(bins) ** 2.5))
    return int(np.argmax(gains)) + 1


# -- isolation trees ------------------------------------------------------------------------------


def average_path_length(n):
    """Mean depth of a leaf when n items are split at a random place again and again, 0 to n."""
    c = [0.0, 0.0]
    for size in range(2, n + 1):
        places = [(i * c[i] + (size - i) * c[size - i]) / size for i in range(1, size)]
        c.append(1 + np.mean(places))
    return np.array(c)


def tree_paths(forest, x):
    """The nodes the row x visits, one list a tree; for axis-parallel and for plane forests."""
    paths = []
    for root in forest.roots[:-1].tolist():
        path = [root]
        while forest.left[path[-1]] != path[-1]:
            k = path[-1]
            if hasattr(forest, "weight"):
                value = np.sum(forest.weight[k] * (x - forest.origin)[forest.feature[k]])
            else:
                value = x[forest.feature[k]]
            path.append(int(forest.left[k]) + int(value > forest.threshold[k]))
        paths.append(path)
    return paths


def fairest_cut(x):
    """The middle between neighbours in x that leaves the least summed squares; ties go left."""
    x = np.sort(x)
    cuts = [i for i in range(1, len(x)) if x[i - 1] < x[i]]
    left = [np.sum((x[:i] - x[:i].mean()) ** 2) + np.sum((x[i:] - x[i:].mean()) ** 2) for i in cuts]
    i = cuts[int(np.argmin(left))]
    return (x[i - 1] + x[i]) / 2


def inne(centres, X):
    """INNE of groups of centres (t, m, d), with closed balls (Bandaragoda et al., section 3)."""
    scores = []
    for x in X:
        each = []
        for group in centres:
            radius, lonely = [], []
            for c in group:
                radius.append(sorted(np.sum((group - c) ** 2, axis=1))[1])
            for k, c in enumerate(group):
                others = np.sum((group - c) ** 2, axis=1)
                others[k] = np.inf
                nearest = int(np.argmin(others))
                lonely.append(1 - np.sqrt(radius[nearest] / radius[k]) if radius[k] else 0.0)
            holds = [k for k, c in enumerate(group) if np.sum((x - c) ** 2) <= radius[k]]
            each.append(lonely[min(holds, key=lambda k: radius[k])] if holds else 1.0)
        scores.append(np.mean(each))
    return np.array(scores)


# -- neighbours -----------------------------------------------------------------------------------


def neighbors(points, q, k, power=2.0):
    """Distances of the k nearest points to q, leaving out one at distance 0, and their numbers."""
    distances = np.linalg.norm(points - q, ord=power, axis=1)
    order = np.argsort(distances, kind="stable")
    order = order[1:] if distances[order[0]] == 0 else order
    return distances[order[:k]], order[:k]


def chaining_distance(q, neighbors):
    """Average chaining distance from q along its set-based nearest path (COF, definitions 3-5)."""
    chain, rest, links = [q], list(neighbors), []
    while rest:
        gaps = [min(np.linalg.norm(p - c) for c in chain) for p in rest]
        links.append(min(gaps))
        chain.append(rest.pop(int(np.argmin(gaps))))
    r = len(chain)
    return sum(2 * (r - i) / (r * (r - 1)) * link for i, link in enumerate(links, start=1))


def angle_variance(q, neighbors):
    """ABOF: weighted variance over all pairs of neighbours (ABOD, definition 1)."""
    values, weights = [], []
    for i, b in enumerate(neighbors):
        for c in neighbors[:i]:
            b_len, c_len = np.linalg.norm(b - q), np.linalg.norm(c - q)
            values.append(np.dot(b - q, c - q) / (b_len**2 * c_len**2))
            weights.append(1 / (b_len * c_len))
    mean = np.average(values, weights=weights)
    return np.average((values - mean) ** 2, weights=weights)


def glosh(points, min_size, min_samples):
    """GLOSH, by taking away links level by level; see Campello et al. 2015, section 5."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    core = np.sort(distances, axis=1)[:, min_samples - 1]
    reach = np.maximum(distances, np.maximum(core[:, None], core[None]))
    clusters, last, leaves = [], {}, {}

    def parts(members, level):
        """Members linked below the level."""
        labels = connected_components(reach[np.ix_(members, members)] < level)[1]
        return [
            [i for i, own in zip(members, labels, strict=True) if own == c] for c in set(labels)
        ]

    def follow(members, cluster):
        linked = reach[np.ix_(members, members)]
        # Split at the longest link that is needed.
        levels = np.unique(linked)
        whole = bisect_left(levels, True, key=lambda x: connected_components(linked < x)[0] == 1)
        level = levels[whole - 1]
        split = parts(members, level)
        large = [part for part in split if len(part) >= min_size]
        for part in split:
            if len(part) < min_size:
                for i in part:
                    last[i], leaves[i] = cluster, level
            elif len(large) == 1:
                follow(part, cluster)
            else:
                clusters.append((cluster, []))
                follow(part, len(clusters) - 1)

    clusters.append((None, []))
    follow(list(range(len(points))), 0)
    for i, cluster in last.items():
        while cluster is not None:
            clusters[cluster][1].append(leaves[i])
            cluster = clusters[cluster][0]
    return np.array([1 - min(clusters[last[i]][1]) / leaves[i] for i in range(len(points))])


# -- Gaussian kernels -----------------------------------------------------------------------------


def log_kernel(X, C):
    """Minus half the squared distance of every pair, by differences."""
    return -0.5 * ((X[:, None, :] - C[None, :, :]) ** 2).sum(axis=2)


def kernel_density(X, points, width):
    """Log density at each row of X under Gaussians of a width per column around the points.

    A row that equals a point is left out of its own density, once.
    """
    out = []
    for x in X:
        logs = [
            -0.5 * np.sum(((x - p) / width) ** 2 + np.log(2 * np.pi) + 2 * np.log(width))
            for p in points
        ]
        equal = [i for i, p in enumerate(points) if np.array_equal(p, x)]
        if equal:
            logs.pop(equal[0])
        out.append(np.logaddexp.reduce(logs) - np.log(len(logs)))
    return np.array(out)
