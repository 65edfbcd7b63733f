"""sdgan_lib: stacked deformable GANs for pose-based person image generation.

One module per concept, in the order of the course: `pose`, `heatmaps`, `encoders`, `warping`, `generators`,
`discriminators`, `losses`, `training`, `metrics`; `datasets` reads the data, `cli` is the command line
(`python -m sdgan_lib --help`). Import the modules you need: this package imports none of them by itself.

What it does is to say how long PyTorch's threads spin, see `sdgan_lib._threads`.
"""

from sdgan_lib._threads import spin_briefly

__version__ = "0.1.0"

spin_briefly()
