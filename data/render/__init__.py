"""Draws the embedded people: clothed random bodies before panoramas, with exact key points and masks.

Everything is a pure function of (identity, view); see `data/people/README.md` for what comes out, and
`python -m data.render --help` for the commands. NumPy, SciPy, Pillow and tqdm are all it imports.
"""
