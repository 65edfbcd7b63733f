from dataclasses import replace

import pytest
import torch
from figures import standing

from sdgan_lib.discriminators import DiscriminatorConfig, MultiScaleDiscriminator
from sdgan_lib.inputs import downscale, make_inputs

SIZE = (64, 64)


@pytest.fixture
def inputs():
    torch.manual_seed(0)
    return make_inputs(torch.rand(2, 3, *SIZE) * 2 - 1, standing(2, SIZE), standing(2, SIZE, seed=1))


def judge(**config):
    return MultiScaleDiscriminator(DiscriminatorConfig((4, 8), **config), (4, 2, 1))


def test_reals_are_down_scaled_to_each_scale():
    image = torch.rand(2, 3, *SIZE)
    reals = judge().reals(image)
    assert [r.shape[-1] for r in reals] == [16, 32, 64]
    torch.testing.assert_close(reals[1][0, 0, 0, 0], image[0, 0, :2, :2].mean())
    torch.testing.assert_close(reals[2], image)


@pytest.mark.parametrize("spectral", [False, True])
def test_logits_per_scale(inputs, spectral):
    d = judge(spectral_norm=spectral)
    logits = d(d.reals(torch.rand(2, 3, *SIZE)), inputs)
    assert [tuple(x.shape) for x in logits] == [(2, 1, 4, 4), (2, 1, 8, 8), (2, 1, 16, 16)]


def test_a_real_picture_of_another_scale_is_refused(inputs):
    image = torch.rand(2, 3, *SIZE)
    with pytest.raises(ValueError, match="reals"):
        judge()([image, image, image], inputs)


def test_a_joined_batch_gives_each_half_its_own_condition(inputs):
    d = judge().eval()
    real, fake = d.reals(torch.rand(2, 3, *SIZE)), d.reals(torch.rand(2, 3, *SIZE))
    joined = d([torch.cat(pair) for pair in zip(real, fake, strict=True)], inputs)
    for both, r, f in zip(joined, d(real, inputs), d(fake, inputs), strict=True):
        torch.testing.assert_close(both, torch.cat([r, f]))


def test_every_picture_is_judged_with_its_own_condition():
    images, sources = torch.rand(2, 3, *SIZE), torch.rand(2, 3, *SIZE)
    first, second = standing(2, SIZE), standing(2, SIZE, seed=1)
    d = judge().eval()
    both = d(d.reals(images), make_inputs(sources, first, second))
    for i in range(2):
        one = slice(i, i + 1)
        alone = d(d.reals(images[one]), make_inputs(sources[one], first[one], second[one]))
        for a, b in zip(both, alone, strict=True):
            torch.testing.assert_close(a[one], b, atol=1e-5, rtol=1e-4)


def test_every_condition_is_seen(inputs):
    d = judge().eval()
    image = d.reals(torch.rand(2, 3, *SIZE))
    before = d(image, inputs)
    other = make_inputs(inputs.source_image.flip(-1), standing(2, SIZE, seed=2), standing(2, SIZE, seed=3))
    for name in ("source_image", "source_heatmaps", "target_heatmaps"):
        changed = replace(inputs, **{name: getattr(other, name)})
        assert all(not torch.allclose(a, b) for a, b in zip(before, d(image, changed), strict=True)), name


def test_scales_share_no_weights():
    pointers = [{p.data_ptr() for p in scale.parameters()} for scale in judge().scales]
    assert len(set.union(*pointers)) == sum(map(len, pointers))


def test_spectral_norm_bounds_the_first_layer():
    torch.manual_seed(0)
    d = judge(spectral_norm=True)
    first = d.scales[0].layers[0]
    for _ in range(30):
        d.train()
        weight = first.weight
    assert torch.linalg.matrix_norm(weight.flatten(1), 2) < 1.05


def test_downscale_averages():
    x = torch.arange(16.0).view(1, 1, 4, 4)
    torch.testing.assert_close(downscale(x, 2), torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]]))
    assert downscale(x, 1) is x
