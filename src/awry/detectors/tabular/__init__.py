"""Detectors for tables: an item is a row."""
