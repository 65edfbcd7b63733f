"""Measurements of the library: `make bench`."""
