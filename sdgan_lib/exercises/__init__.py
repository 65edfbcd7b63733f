"""Checks for the course's exercises: ``check_…(your_answer)`` returns a :class:`Verdict`, shown as one line.

Every check compares with the library on fresh random input and names the mistake behind a likely wrong answer.
One module per notebook; all checks are found here.
"""

from sdgan_lib.exercises._verdict import Verdict
from sdgan_lib.exercises.adversarial import (
    check_discriminator_loss,
    check_generator_step,
    check_judged_pictures,
    check_mended_step,
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
    check_look_up,
    check_picture_head,
    check_stack,
    check_stacked_forward,
    check_up_block,
    check_up_module,
    check_widened,
)
from sdgan_lib.exercises.poses import (
    check_annotation,
    check_flip,
    check_joint_map,
    check_lost_sigma,
    check_peak,
    check_pose_maps,
    check_rescale,
    check_torso,
    check_two_pixels,
)
from sdgan_lib.exercises.start import (
    check_between,
    check_flattered,
    check_missing,
    check_person_l1,
    check_window_ssim,
    check_wins,
)
from sdgan_lib.exercises.warping import (
    check_affine,
    check_apply,
    check_corners,
    check_exchanged_shift,
    check_grid,
    check_map_at,
    check_mask,
    check_merge,
    check_pixels,
    check_warp_faults,
    check_weighted_fit,
)

__all__ = [
    "Verdict",
    "check_affine",
    "check_annotation",
    "check_apply",
    "check_attention",
    "check_between",
    "check_blind_pair",
    "check_composition",
    "check_corners",
    "check_diagnosis",
    "check_discriminator_loss",
    "check_exchanged_shift",
    "check_fill",
    "check_flattered",
    "check_flip",
    "check_generator_step",
    "check_grid",
    "check_joint_map",
    "check_judged_pictures",
    "check_look_up",
    "check_lost_sigma",
    "check_map_at",
    "check_mask",
    "check_mended_step",
    "check_merge",
    "check_missing",
    "check_peak",
    "check_person_l1",
    "check_picture_head",
    "check_pixels",
    "check_pose_maps",
    "check_receptive_fields",
    "check_rescale",
    "check_stack",
    "check_stacked_forward",
    "check_stream_inputs",
    "check_torso",
    "check_two_pixels",
    "check_two_streams",
    "check_up_block",
    "check_up_module",
    "check_warp_faults",
    "check_weighted_fit",
    "check_widened",
    "check_window_ssim",
    "check_wins",
]
