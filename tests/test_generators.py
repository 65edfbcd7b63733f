import pytest
import torch
import torch.nn.functional as F
from figures import standing

from sdgan_lib.generators import (
    SCALES,
    SYSTEMS,
    GeneratorConfig,
    PartAttention,
    PoseUpsampler,
    make_generator,
)
from sdgan_lib.inputs import make_inputs
from sdgan_lib.presets import PRESETS
from sdgan_lib.warping import REGIONS, warp_image

SMALL = {"width": 4, "depth": 4}


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("size", [(128, 64), (64, 96)])
@pytest.mark.parametrize("batch", [1, 3])
def test_pictures_of_every_scale(system, size, batch):
    generator = make_generator(GeneratorConfig(system, **SMALL))
    source, target = standing(batch, size), standing(batch, size, seed=1)
    made = generator.transfer(torch.rand(batch, 3, *size) * 2 - 1, source, target)
    factors = SYSTEMS[system].scales
    assert [tuple(i.shape) for i in made.images] == [(batch, 3, size[0] // f, size[1] // f) for f in factors]
    assert made.image is made.images[-1]
    assert all(i.abs().max() <= 1 for i in made.images)


def test_the_paper_preset_has_the_papers_channels():
    for system in SYSTEMS.keys() - {"pg2"}:  # PG2 has a paper of its own
        assert PRESETS[f"{system}-paper"].generator.channels == (64, 128, 256, 512, 512, 512)


def test_attention_sums_to_one_and_starts_at_the_warped_source():
    torch.manual_seed(0)
    size = (128, 64)
    generator = make_generator(GeneratorConfig("sdgan", **SMALL)).eval()
    image = F.interpolate(torch.rand(2, 3, 16, 8) * 2 - 1, size=size, mode="bilinear")
    inputs = make_inputs(image, standing(2, size), standing(2, size, seed=1))
    made = generator(inputs)
    for maps, factor in zip(made.attention, SCALES, strict=True):
        assert maps.shape == (2, len(REGIONS) + 1, size[0] // factor, size[1] // factor)
        torch.testing.assert_close(maps.sum(1), torch.ones_like(maps[:, 0]))
    warped = warp_image(image, inputs.warps)
    assert F.l1_loss(made.image, warped) < 0.5 * F.l1_loss(torch.zeros_like(warped), warped)


def test_attention_mixes_candidates_by_hand():
    torch.manual_seed(0)
    logits, painted = torch.randn(1, 12, 2, 2), torch.rand(1, 3, 2, 2)
    candidates, masks = torch.rand(1, 11, 3, 2, 2), torch.ones(1, 11, 2, 2)
    picture, maps = PartAttention()(logits, painted, candidates, masks)
    weights = torch.cat([logits[:, :11], logits[:, 11:] + PartAttention.OUTSIDE / 2], 1).exp()
    weights = weights / weights.sum(1, keepdim=True)
    expected = sum(weights[:, r : r + 1] * candidates[:, r] for r in range(11)) + weights[:, 11:] * painted
    torch.testing.assert_close(maps, weights)
    torch.testing.assert_close(picture, expected)


def test_the_pose_code_reaches_every_scale():
    """Changing h_b alone (the up-sampled pose code) changes the picture of each scale."""
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig("sdgan", **SMALL)).eval()
    size = (64, 64)
    inputs = make_inputs(torch.rand(1, 3, *size), standing(1, size), standing(1, size, seed=1))
    before = generator(inputs).images
    for i, up in enumerate(generator.ups):
        handle = up.register_forward_hook(lambda module, args, out: torch.zeros_like(out))
        after = generator(inputs).images
        handle.remove()
        assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [j != i for j in range(3)]


def test_the_code_that_is_up_sampled_is_the_pose_streams():
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig("sdgan", **SMALL)).eval()
    size = (64, 64)
    inputs = make_inputs(torch.rand(1, 3, *size), standing(1, size), standing(1, size, seed=1))
    given = []
    for up in generator.ups:
        up.register_forward_pre_hook(lambda module, args: given.append(args[0]))
    generator(inputs)
    code = generator.encoder.pose(inputs.target_heatmaps)[-1]
    assert len(given) == 3 and code.abs().max() > 0
    for up_sampled in given:
        torch.testing.assert_close(up_sampled, code)


def test_pose_upsampler_doubles_per_step():
    assert PoseUpsampler(32, 4, 3)(torch.randn(2, 32, 4, 2)).shape == (2, 4, 32, 16)


def test_without_stacking_one_decoder_leads_to_one_picture_and_nothing_else_changes():
    """What `sdgan` has besides are the heads and up-samplers of the smaller scales; the rest is weight for weight."""
    additions = {"composition": True, "lookup": True, "blocks": 1}
    flat, stacked = (
        make_generator(GeneratorConfig(s, **SMALL, **additions)) for s in ("sdgan-flat", "sdgan")
    )
    assert [len(decoder) for decoder in flat.decoders] == [4] and len(flat.ups) == len(flat.heads) == 1
    named = {
        "decoders.0.2.": "decoders.1.0.",
        "decoders.0.3.": "decoders.2.0.",
        "ups.0.": "ups.2.",
        "heads.0.": "heads.2.",
    }
    ours, theirs = flat.state_dict(), stacked.state_dict()
    for name in ours:
        old = next((prefix for prefix in named if name.startswith(prefix)), "")
        ours[name] = theirs.pop(named.get(old, "") + name.removeprefix(old))
    assert {name[:8] for name in theirs} == {"ups.0.la", "ups.1.la", "heads.0.", "heads.1."}
    flat.load_state_dict(ours)
    size = (64, 64)
    given = torch.rand(2, 3, *size) * 2 - 1, standing(2, size), standing(2, size, seed=1)
    for generator in (flat.eval(), stacked.eval()):
        torch.nn.init.normal_(generator.lookup.out.weight, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(flat.transfer(*given).image, stacked.transfer(*given).image)


@pytest.mark.parametrize("system", ["deformable", "sdgan"])
def test_a_moved_arm_moves_the_skip_features(system):
    """Without the warp the appearance skips do not depend on the target pose; with it they do."""
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig(system, **SMALL)).eval()
    size = (128, 64)
    source = standing(1, size)
    moved = source.clone()
    moved[:, 4] += torch.tensor([12.0, -10.0])  # right wrist
    image = torch.rand(1, 3, *size)
    c = generator.config.channels[0]
    still = generator.encode(make_inputs(image, source, source))[1][-1][:, :c]
    swung = generator.encode(make_inputs(image, source, moved))[1][-1][:, :c]
    assert not torch.allclose(still, swung)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_weight_has_a_gradient(system):
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig(system, **SMALL))
    size = (64, 64)
    made = generator.transfer(torch.rand(2, 3, *size), standing(2, size), standing(2, size, seed=1))
    sum(i.square().mean() for i in made.images).backward()
    without = [name for name, p in generator.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize("size", [(100, 64), (128, 60), (16, 16)])
def test_sizes_that_do_not_divide_are_refused(size):
    generator = make_generator(GeneratorConfig("sdgan", **SMALL))
    with pytest.raises(ValueError, match="divisible by 16"):
        generator.transfer(torch.zeros(1, 3, *size), standing(1, size), standing(1, size))


@pytest.mark.parametrize(
    "wrong",
    [{"system": "sdgam"}, {"depth": 2}, {"norm": "batch"}, {"width": 0}, {"width": 1, "pose_ratio": 0.5}],
)
def test_impossible_configurations_are_refused(wrong):
    with pytest.raises(ValueError):
        GeneratorConfig(**wrong)
