"""The idea of a detector, and what every detector shares: cards, input checks, thresholds, state."""
