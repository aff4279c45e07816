"""Compiled hot loops: pure functions on arrays, each with a slow twin in the tests."""
