"""Neural networks: one trainer, the networks it trains, their blocks and losses.

The one room that imports torch at the top; detectors import from here only when they are fitted.
"""
