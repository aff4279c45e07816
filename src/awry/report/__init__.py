"""Results to look at: charts and self-contained pages."""
