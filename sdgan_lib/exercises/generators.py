"""Checks of the exercises of notebook 04_stacked_generator."""
