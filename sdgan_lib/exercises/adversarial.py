"""Checks of the exercises of notebook 05_adversarial_training."""
