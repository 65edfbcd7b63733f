import pytest
import torch

from sdgan_lib.encoders import Encoder, OneStreamEncoder, TwoStreamEncoder, normalise


@pytest.mark.parametrize("size", [(128, 64), (64, 96)])
def test_every_level_halves_the_size(size):
    features = Encoder(21, (4, 8, 16, 16))(torch.randn(2, 21, *size))
    assert [tuple(f.shape) for f in features] == [
        (2, c, size[0] >> i, size[1] >> i) for i, c in enumerate((4, 8, 16, 16))
    ]


def test_the_two_streams_share_no_weights_and_see_only_their_own_input():
    torch.manual_seed(0)
    encoder = TwoStreamEncoder((4, 8, 8), (2, 4, 4))
    appearance_weights = {p.data_ptr() for p in encoder.appearance.parameters()}
    assert not appearance_weights & {p.data_ptr() for p in encoder.pose.parameters()}

    image, source, target = torch.randn(1, 3, 16, 16), torch.rand(1, 18, 16, 16), torch.rand(1, 18, 16, 16)
    appearance, pose = encoder(image, source, target)
    other_appearance, other_pose = encoder(image, source, torch.rand_like(target))
    assert all(torch.equal(a, b) for a, b in zip(appearance, other_appearance, strict=True))
    assert all(not torch.equal(a, b) for a, b in zip(pose, other_pose, strict=True))
    other_appearance, other_pose = encoder(image, torch.rand_like(source), target)
    assert all(not torch.equal(a, b) for a, b in zip(appearance, other_appearance, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(pose, other_pose, strict=True))


def test_the_one_stream_sees_all_three_inputs():
    torch.manual_seed(0)
    encoder = OneStreamEncoder((4, 8))
    inputs = [torch.randn(1, 3, 8, 8), torch.rand(1, 18, 8, 8), torch.rand(1, 18, 8, 8)]
    before = encoder(*inputs)[-1]
    for i in range(3):
        changed = list(inputs)
        changed[i] = torch.rand_like(inputs[i])
        assert not torch.equal(before, encoder(*changed)[-1])


def test_group_norm_keeps_what_a_channel_says_by_being_high_everywhere_and_instance_norm_does_not():
    x = torch.zeros(1, 8, 4, 4)
    x[:, 3] = 5.0
    assert normalise("instance", 8)(x).abs().max() < 1e-3
    assert normalise("group", 8)(x)[0, 3].min() > 2
    with pytest.raises(ValueError, match="batch"):
        normalise("batch", 8)


@pytest.mark.parametrize("channels", [4, 8, 12, 32])
def test_both_norms_take_any_number_of_channels(channels):
    x = torch.randn(2, channels, 4, 4)
    for kind in ("instance", "group"):
        assert normalise(kind, channels)(x).shape == x.shape
