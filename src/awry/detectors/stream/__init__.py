"""Online detectors of rows and edges; each module holds one algorithm, its card and its paper."""
