"""Detectors of series; each module holds one algorithm, its card and its paper."""
