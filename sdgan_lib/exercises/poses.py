"""Checks of the exercises of notebook 01_pose_heatmaps."""
