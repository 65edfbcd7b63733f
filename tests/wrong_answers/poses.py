"""Plausible wrong answers, each with words of the message meant for it."""

WRONG: dict = {}
