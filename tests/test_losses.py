import math

import pytest
import torch

from sdgan_lib.errors import UserError
from sdgan_lib.losses import (
    LossConfig,
    discriminator_loss,
    generator_adversarial_loss,
    l1_loss,
    nearest_neighbour_loss,
    r1_penalty,
    vgg_features,
)


def test_log_loss_equals_equation_6_written_out():
    torch.manual_seed(0)
    real, fake = (
        [torch.randn(3, 1, 4, 2), torch.randn(3, 1, 2, 1)],
        [torch.randn(3, 1, 4, 2), torch.randn(3, 1, 2, 1)],
    )
    by_hand = sum(
        -torch.sigmoid(r).log().mean() - (1 - torch.sigmoid(f)).log().mean()
        for r, f in zip(real, fake, strict=True)
    )
    torch.testing.assert_close(discriminator_loss(real, fake), by_hand)
    torch.testing.assert_close(
        generator_adversarial_loss(fake), sum(-torch.sigmoid(f).log().mean() for f in fake)
    )


def test_log_loss_is_finite_and_has_a_gradient_where_a_sigmoid_saturates():
    fake = torch.tensor([[-200.0]], requires_grad=True)
    loss = generator_adversarial_loss([fake])
    loss.backward()
    assert loss.item() == pytest.approx(200.0)
    assert fake.grad.item() == pytest.approx(-1.0)


def test_a_better_discriminator_has_a_smaller_loss():
    for kind in ("log", "hinge"):
        good = discriminator_loss([torch.full((2, 1), 2.0)], [torch.full((2, 1), -2.0)], kind)
        bad = discriminator_loss([torch.full((2, 1), -2.0)], [torch.full((2, 1), 2.0)], kind)
        assert good < bad
        fooled = generator_adversarial_loss([torch.ones(2, 1)], kind)
        assert fooled < generator_adversarial_loss([-torch.ones(2, 1)], kind)


def test_hinge_by_hand():
    real, fake = [torch.tensor([0.5, 3.0])], [torch.tensor([-2.0, 0.25])]
    assert discriminator_loss(real, fake, "hinge").item() == pytest.approx(0.25 + 0.625)


def test_unknown_kind_is_refused():
    for call in (lambda: discriminator_loss([], [], "wgan"), lambda: LossConfig(adversarial="wgan")):
        with pytest.raises(ValueError, match="wgan"):
            call()


def test_l1_adds_the_scales_and_refuses_another_number_of_them():
    a, b = (
        [torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 4, 4)],
        [torch.ones(1, 3, 2, 2), torch.full((1, 3, 4, 4), 0.5)],
    )
    assert l1_loss(a, b).item() == pytest.approx(1.5)
    with pytest.raises(ValueError):
        l1_loss(a, b[:1])


def test_l1_weights_multiply_each_pixel():
    a, b = torch.zeros(1, 3, 1, 2), torch.tensor([1.0, 0.5]).expand(1, 3, 1, 2)
    weight = torch.tensor([[[[1.0, 3.0]]]])
    assert l1_loss([a], [b], [weight]).item() == pytest.approx((1 * 1.0 + 3 * 0.5) / 2)


def test_nearest_neighbour_forgives_a_shift_of_one_pixel_only():
    torch.manual_seed(0)
    target = torch.rand(1, 3, 16, 16)
    for shift, free in ((1, True), (2, False)):
        moved = target.roll((shift, -shift), (2, 3))
        inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
        distance = nearest_neighbour_loss(moved[inner], target[inner])
        inside = nearest_neighbour_loss(moved, target)
        assert (inside < 0.05) == free
        assert distance > 0  # its border has lost its neighbours
    assert nearest_neighbour_loss(target.roll(2, 3), target, window=5) < 0.05


def test_nearest_neighbour_equals_a_loop():
    torch.manual_seed(0)
    a, b = torch.rand(1, 2, 5, 4), torch.rand(1, 2, 5, 4)
    total = 0.0
    for y in range(5):
        for x in range(4):
            near = [(min(max(y + i, 0), 4), min(max(x + j, 0), 3)) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            total += min((a[0, :, y, x] - b[0, :, v, u]).abs().mean().item() for v, u in near)
    assert nearest_neighbour_loss(a, b).item() == pytest.approx(total / 20, rel=1e-5)
    with pytest.raises(ValueError, match="odd"):
        nearest_neighbour_loss(a, b, 4)


def test_vgg_features_need_a_file_and_read_it(tmp_path):
    with pytest.raises(UserError, match="vgg19"):
        vgg_features(tmp_path / "vgg.pt")
    from torchvision.models import vgg19

    with torch.device("meta"):  # the big layers that are not read need no memory
        network = vgg19()
    network.features[:4].to_empty(device="cpu").apply(
        lambda m: [torch.nn.init.normal_(p) for p in m.parameters()]
    )
    torch.save({k: v for k, v in network.state_dict().items() if not v.is_meta}, tmp_path / "vgg.pt")
    features = vgg_features(tmp_path / "vgg.pt")
    image = torch.rand(1, 3, 16, 8) * 2 - 1
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    normal = ((image + 1) / 2 - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    torch.testing.assert_close(features(image), network.features[:4](normal))
    assert not any(p.requires_grad for p in features.parameters())


def test_r1_equals_the_gradient_by_hand():
    real = torch.randn(3, 3, 4, 4, requires_grad=True)
    weight = torch.randn(3, 4, 4)
    penalty = r1_penalty([(real * weight).sum((1, 2, 3))], [real])
    assert penalty.item() == pytest.approx(0.5 * weight.square().sum().item(), rel=1e-5)
    assert math.isfinite(penalty.item())
