"""Reading, profiling, encoding and generating data."""
