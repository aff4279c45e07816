"""Events judged as they come: sources, one state for each partition, outputs kept once."""
