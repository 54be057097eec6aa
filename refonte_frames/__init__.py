"""Frames in, labels out: the DataFrame bridge to the Refonte AI labeling API."""
