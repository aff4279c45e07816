"""Published benchmarks, run with other libraries in the same process."""
