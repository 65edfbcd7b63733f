"""Checks of the exercises of notebook 00_start_here."""
