"""Checks of the exercises of notebook 02_two_stream_encoder."""
