"""Draws the embedded people: clothed random bodies before panoramas, with exact key points and masks.

Everything is a pure function of (identity, view); see ``data/people/README.md`` for what comes out, and
``python -m data.render --help`` for the commands. ``bodies``, ``looks`` and ``garments`` make an identity, ``poses``,
``backgrounds`` and ``streets`` what a view is made of; ``scene`` plans it, ``stage`` sets it up as meshes,
``materials`` and ``shading`` draw it, ``export`` writes the files.
"""
