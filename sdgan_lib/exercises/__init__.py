"""Checks for the course's exercises: ``check_…(your_answer)`` returns a :class:`Verdict`, shown as one line.

Every check compares with the library on fresh random input and names the mistake behind a likely wrong answer.
One module per notebook; all checks are found here.
"""

from sdgan_lib.exercises._verdict import Verdict
from sdgan_lib.exercises.adversarial import (
    check_best_discriminator,
    check_discriminator_loss,
    check_feature_matching,
    check_generator_loss,
    check_generator_step,
    check_judged_pictures,
    check_moving_average,
    check_repaired_step,
    check_training_loop,
    check_weighted_l1,
)
from sdgan_lib.exercises.encoders import (
    check_blind_pair,
    check_receptive_fields,
    check_stream_inputs,
    check_two_streams,
)
from sdgan_lib.exercises.generators import (
    check_attention,
    check_composition,
    check_diagnosis,
    check_fill,
    check_stack,
    check_up_block,
)
from sdgan_lib.exercises.poses import check_flip, check_joint_map, check_lost_sigma, check_two_pixels
from sdgan_lib.exercises.start import check_flattered, check_missing, check_person_l1
from sdgan_lib.exercises.warping import check_map_at, check_pixels, check_warp_faults, check_weighted_fit

__all__ = [
    "Verdict",
    "check_attention",
    "check_best_discriminator",
    "check_blind_pair",
    "check_composition",
    "check_diagnosis",
    "check_discriminator_loss",
    "check_feature_matching",
    "check_fill",
    "check_flattered",
    "check_flip",
    "check_generator_loss",
    "check_generator_step",
    "check_joint_map",
    "check_judged_pictures",
    "check_lost_sigma",
    "check_map_at",
    "check_missing",
    "check_moving_average",
    "check_person_l1",
    "check_pixels",
    "check_receptive_fields",
    "check_repaired_step",
    "check_stack",
    "check_stream_inputs",
    "check_training_loop",
    "check_two_pixels",
    "check_two_streams",
    "check_up_block",
    "check_warp_faults",
    "check_weighted_fit",
    "check_weighted_l1",
]
