"""The machinery of the benchmark: one small module per idea, none of which knows a dataset by name."""
