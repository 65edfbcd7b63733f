"""Losses of generator and discriminator: each a pure function of tensors, each option one argument."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sdgan_lib.composition import Truth, background_loss, silhouette_loss
from sdgan_lib.errors import UserError
from sdgan_lib.inputs import Generated, Inputs, downscale
from sdgan_lib.pose import head_box

ADVERSARIAL = ("log", "hinge")


@dataclass(frozen=True)
class LossConfig:
    """Weights of the terms; a weight of 0 leaves a term out.

    Attributes:
        adversarial: ``"log"`` (paper, eq. 6) or ``"hinge"``.
        adversarial_weight: of the generator's adversarial term.
        l1_weight: of the L1 term (100 in Deformable GAN).
        person_weight: how much more a pixel of the target's body regions counts in the L1 term than one of the
            background (1 in PG2, 0 in Deformable GAN). With a composition so does a pixel that the source person
            hid, else the silhouette would rather be too large than too small.
        head_weight: how much more, besides, a pixel of the person counts in the square round their face
            (:func:`sdgan_lib.pose.head_box`), where a few pixels decide whether somebody is recognised.
        nearest_weight: of the nearest-neighbour loss on the full-size picture.
        nearest_window: side of its window in pixels.
        nearest_features: file with VGG-19 weights, or None to compare pixels.
        r1_weight: of the R1 penalty on the discriminators.
        feature_weight: of feature matching, see :func:`feature_matching_loss`.
        ssim_weight: of 1 - SSIM on the person, at full size.
        silhouette_weight, background_weight: of the terms of a composition (see :mod:`sdgan_lib.composition`); the
            background's is a share of ``l1_weight``.
    """

    adversarial: str = "log"
    adversarial_weight: float = 1.0
    l1_weight: float = 100.0
    person_weight: float = 0.0
    head_weight: float = 0.0
    nearest_weight: float = 0.0
    nearest_window: int = 3
    nearest_features: str | None = None
    r1_weight: float = 0.0
    feature_weight: float = 0.0
    ssim_weight: float = 0.0
    silhouette_weight: float = 0.0
    background_weight: float = 0.0

    def __post_init__(self):
        _check(self.adversarial)

    @property
    def reads_masks(self) -> bool:
        """Whether a term needs to know where the persons are (:class:`sdgan_lib.composition.Truth`)."""
        return bool(self.silhouette_weight or self.background_weight)


def _check(kind: str) -> None:
    if kind not in ADVERSARIAL:
        raise UserError(f"adversarial loss is one of {ADVERSARIAL}, not {kind!r}")


def discriminator_loss(real: list[Tensor], fake: list[Tensor], kind: str = "log") -> Tensor:
    """What the discriminators minimise, summed over the scales (paper, eq. 6).

    Args:
        real, fake: logits of each scale for real and for generated pictures, any shape.
        kind: ``"log"``: -log D(real) - log(1 - D(fake)), written with softplus on logits, so that it neither
            overflows nor loses its gradient; ``"hinge"``: max(0, 1 - real) + max(0, 1 + fake).
    """
    _check(kind)
    total = real[0].new_zeros(())
    for r, f in zip(real, fake, strict=True):
        if kind == "log":
            total = total + F.softplus(-r).mean() + F.softplus(f).mean()
        else:
            total = total + F.relu(1 - r).mean() + F.relu(1 + f).mean()
    return total


def generator_adversarial_loss(fake: list[Tensor], kind: str = "log") -> Tensor:
    """What the generator minimises to be taken for real, summed over the scales.

    ``"log"`` is the non-saturating form -log D(fake): the minimax form log(1 - D(fake)) of eq. (6) has almost no
    gradient while the discriminator is sure of itself. ``"hinge"`` is -fake.
    """
    _check(kind)
    return sum((F.softplus(-f) if kind == "log" else -f).mean() for f in fake)


def l1_loss(images: list[Tensor], reals: list[Tensor], weights: list[Tensor] | None = None) -> Tensor:
    """Mean absolute difference, summed over the scales; pictures in [-1, 1].

    Args:
        images, reals: one ``[B, 3, h, w]`` per scale.
        weights: one ``[B, 1, h, w]`` per scale that multiplies each pixel's difference. PG2 (Ma et al., 2017)
            takes 1 + M with the target's pose mask M, so that the person counts for more than the background.
    """
    total = images[0].new_zeros(())
    for i, (image, real) in enumerate(zip(images, reals, strict=True)):
        difference = (image - real).abs()
        total = total + (difference if weights is None else difference * weights[i]).mean()
    return total


def feature_matching_loss(fake: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean absolute difference of the discriminators' features of generated and real pictures, averaged over layers.

    From pix2pixHD (Wang et al., 2018): the generator learns textures from what tells real from generated, instead of
    guessing them from one logit. The real pictures' features get no gradient.
    """
    return sum((f - r.detach()).abs().mean() for f, r in zip(fake, real, strict=True)) / len(fake)


def ssim_loss(generated: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """1 - SSIM, averaged over pixels by ``weight`` ``[B, 1, H, W]``.

    The local SSIM is that of :func:`sdgan_lib.metrics.ssim_map`, in float32 and differentiable; the border is continued
    by zeros, so that weights there should be small.
    """
    with torch.autocast(generated.device.type, enabled=False):
        rows, columns = (_gaussian_matrix(n, generated.device) for n in generated.shape[-2:])
        a, b = generated.float().contiguous(), target.float().contiguous()
        # Variances do not depend on an offset: signed values keep them exact in float32.
        x = torch.cat([a, b, a * b, a * a + b * b], 1)
        mean_a, mean_b, product, squares = (rows @ (x @ columns)).chunk(4, 1)
        covariance = product - mean_a * mean_b
        variances = squares - mean_a.square() - mean_b.square()  # of a plus of b
        mean_a, mean_b = mean_a + 1, mean_b + 1  # means are compared on the scale from 0 to 2
        c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
        local = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
        local = local / ((mean_a.square() + mean_b.square() + c1) * (variances + c2))
        return ((1 - local).mean(1, keepdim=True) * weight).sum() / weight.sum().clamp_min(1)


def _gaussian_matrix(size: int, device: torch.device) -> Tensor:
    """The symmetric ``[size, size]`` matrix that blurs a row of pixels, with zeros beyond its ends."""
    weight = torch.exp(-0.5 * (torch.arange(6, device=device) / 1.5).square())  # of distances 0, 1, ..., 5
    pixels = torch.arange(size, device=device)
    return F.pad(weight / (2 * weight.sum() - 1), (0, size))[(pixels - pixels[:, None]).abs()]


def nearest_neighbour_loss(generated: Tensor, target: Tensor, window: int = 3) -> Tensor:
    """Each generated feature against the most similar target feature in a small window (Deformable GAN, L_NN).

    A stripe that arrives a pixel off costs nothing, where L1 would rather have it blurred.

    Args:
        generated, target: features ``[B, C, H, W]`` (or pictures).
        window: odd side of the window, 3 for Market-1501, 5 for DeepFashion.
    """
    if window % 2 != 1:
        raise ValueError(f"the window's side must be odd, not {window}")
    r = window // 2
    height, width = target.shape[-2:]
    padded = F.pad(target, (r, r, r, r), mode="replicate")
    best = None
    for dy in range(window):
        for dx in range(window):
            distance = (generated - padded[..., dy : dy + height, dx : dx + width]).abs().mean(1)
            best = distance if best is None else torch.minimum(best, distance)
    return best.mean()


def vgg_features(weights: Path) -> nn.Module:
    """VGG-19 up to ``block1_conv2``, frozen, for pictures in [-1, 1]: the feature space of Deformable GAN's L_NN.

    Args:
        weights: file with torchvision's ``vgg19`` state dict; it is read without executing code.

    Raises:
        UserError: with the remedy, when there is no such file.
    """
    from torchvision.models import vgg19  # two seconds that only this loss should cost
    from torchvision.transforms.v2 import Normalize

    if not Path(weights).is_file():
        raise UserError(
            f"{weights}: no VGG-19 weights; save torchvision.models.vgg19(weights='DEFAULT').state_dict() there "
            "with torch.save, or use the nearest-neighbour loss on pixels"
        )
    state = torch.load(weights, weights_only=True, map_location="cpu")
    with torch.device("meta"):  # 550 MB of layers that nobody needs are never made
        block = vgg19(weights=None).features[:4]
    block.load_state_dict({name: state[f"features.{name}"] for name in block.state_dict()}, assign=True)
    # The usual mean and standard deviation are of pictures in [0, 1].
    mean, std = (torch.tensor(values) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    return (
        nn.Sequential(Normalize((2 * mean - 1).tolist(), (2 * std).tolist()), block)
        .requires_grad_(False)
        .eval()
    )


def r1_penalty(logits: list[Tensor], reals: list[Tensor]) -> Tensor:
    """Half the squared gradient of the logits at real pictures, averaged over the batch (Mescheder et al., 2018).

    ``reals`` are the very tensors the logits were computed from, with ``requires_grad`` set.
    """
    gradients = torch.autograd.grad(sum(x.sum() for x in logits), reals, create_graph=True)
    return 0.5 * sum(g.square().sum((1, 2, 3)).mean() for g in gradients)


class Objective:
    """The two losses of a step, each also given term by term for the log.

    Args:
        config: weights of the terms.
        judged: which of the generator's pictures are judged, as places; see :class:`sdgan_lib.systems.System`.
        device: where feature networks go.
        staged: whether the pictures are learned one after the other, see there.
    """

    def __init__(
        self,
        config: LossConfig,
        judged: Sequence[int],
        device: torch.device | str = "cpu",
        staged: bool = False,
    ):
        self.config, self.judged, self.staged = config, tuple(judged), staged
        self.features: nn.Module = nn.Identity()
        if config.nearest_weight and config.nearest_features is not None:
            self.features = vgg_features(Path(config.nearest_features)).to(device)

    def discriminator(
        self,
        discriminator: nn.Module,
        generated: Generated,
        reals: list[Tensor],
        inputs: Inputs,
        truth: Truth | None = None,
        features: list[Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of the discriminators; real and generated pictures are judged in one joined batch.

        Args:
            discriminator: a :class:`sdgan_lib.discriminators.MultiScaleDiscriminator`.
            generated: the generator's pictures; no gradient flows back into them.
            reals: the real picture at the scale of each generated one.
            inputs: what the generator was given.
            truth: what the batch says about persons and places, or None if no term needs it.
            features: to this list the features of the real pictures are appended, for :meth:`generator`.
        """
        config = self.config
        images = self.comparable(generated.images, reals, truth)
        reals = [reals[i].detach() for i in self.judged]
        if config.r1_weight:
            reals = [real.requires_grad_() for real in reals]
        fakes = [images[i].detach() for i in self.judged]
        joined = [torch.cat([real, fake]) for real, fake in zip(reals, fakes, strict=True)]
        found: list[Tensor] = []
        logits = [x.chunk(2) for x in discriminator(joined, inputs, found)]
        if features is not None:
            features += [x.detach().chunk(2)[0] for x in found]
        real, fake = [x[0] for x in logits], [x[1] for x in logits]
        loss = discriminator_loss(real, fake, config.adversarial)
        terms = {"d_loss": loss}
        if config.r1_weight:
            terms["r1"] = r1_penalty(real, reals)
            loss = loss + config.r1_weight * terms["r1"]
        return loss, terms

    @staticmethod
    def comparable(images: list[Tensor], reals: list[Tensor], truth: Truth | None) -> list[Tensor]:
        """The pictures, with the real background where no picture could show it: another camera's is not known."""
        if truth is None:
            return images
        out = []
        for image, real in zip(images, reals, strict=True):
            share = downscale(truth.comparable, truth.comparable.shape[-1] // image.shape[-1])
            out.append(real + share * (image - real))
        return out

    def generator(
        self,
        discriminator: nn.Module | None,
        generated: Generated,
        reals: list[Tensor],
        inputs: Inputs,
        truth: Truth | None = None,
        features: list[Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of the generator against discriminators whose weights stand still (None: no adversarial term).

        Of a staged system's pictures only those that are learned now have terms: the judged ones with discriminators,
        the others without. With ``truth`` the person is the data set's mask instead of the body regions, and what
        cannot be known counts in no term. ``features`` are those of the real pictures that :meth:`discriminator` found
        with the same weights; without them they are found here.
        """
        config = self.config
        images = generated.images
        judged, models = [images[i] for i in self.judged], [reals[i] for i in self.judged]
        if self.staged:
            learned = [i for i in range(len(reals)) if (i in self.judged) == (discriminator is not None)]
            images, reals = [images[i] for i in learned], [reals[i] for i in learned]
        weights = None
        if truth is not None or config.person_weight or config.head_weight or config.ssim_weight:
            person = inputs.target_body if truth is None else truth.target_person
            counted = person if truth is None else torch.maximum(person, truth.source_person)
            onto_person = config.person_weight * counted
            if config.head_weight:
                face = head_box(inputs.target_pose, *inputs.size)
                onto_person = onto_person + config.head_weight * person * face
            weight = 1 + onto_person if truth is None else truth.comparable * (1 + onto_person)
            weights = [downscale(weight, weight.shape[-1] // real.shape[-1]) for real in reals]
        terms = {"l1": l1_loss(images, reals, weights)}
        loss = config.l1_weight * terms["l1"]
        if discriminator is not None:
            ours: list[Tensor] = []
            logits = discriminator(self.comparable(judged, models, truth), inputs, ours)
            terms["adversarial"] = generator_adversarial_loss(logits, config.adversarial)
            loss = loss + config.adversarial_weight * terms["adversarial"]
            if config.feature_weight:
                if features is None:
                    features = []
                    with torch.no_grad():
                        discriminator(models, inputs, features)
                terms["features"] = feature_matching_loss(ours, features)
                loss = loss + config.feature_weight * terms["features"]
        if config.nearest_weight:
            terms["nearest"] = nearest_neighbour_loss(
                self.features(images[-1]), self.features(reals[-1]), config.nearest_window
            )
            loss = loss + config.nearest_weight * terms["nearest"]
        if config.ssim_weight:
            image = self.comparable(images[-1:], reals[-1:], truth)[0]
            terms["ssim"] = ssim_loss(image, reals[-1], weight * person)
            loss = loss + config.ssim_weight * terms["ssim"]
        if generated.background is not None and truth is not None:
            if config.silhouette_weight:
                terms["silhouette"] = silhouette_loss(generated.background, truth)
                loss = loss + config.silhouette_weight * terms["silhouette"]
            if config.background_weight:
                terms["background"] = background_loss(generated.background, truth, reals[-1])
                loss = loss + config.l1_weight * config.background_weight * terms["background"]
        return loss, terms
