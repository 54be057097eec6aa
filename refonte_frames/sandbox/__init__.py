"""A local server that behaves as the documented service does: its rules, its store, its labelers and its faults."""
