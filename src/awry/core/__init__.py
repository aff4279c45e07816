"""The idea of a detector and what all detectors share: cards, checks, thresholds, state."""
