"""Checks of the exercises of notebook 03_affine_limb_warping."""
