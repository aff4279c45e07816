"""Whether data has changed."""
