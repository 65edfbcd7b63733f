"""Plausible wrong answers, each with words of the message meant for it."""

from itertools import islice

import torch
import torch.nn.functional as F
from torch.utils.data import default_collate

from sdgan_lib.batches import ShuffledBatches


def _swapped_labels(real, fake):
    return sum(F.softplus(r).mean() + F.softplus(-f).mean() for r, f in zip(real, fake, strict=True))


def _log_of_sigmoid(real, fake):
    return sum(
        -torch.sigmoid(r).log().mean() - (1 - torch.sigmoid(f)).log().mean()
        for r, f in zip(real, fake, strict=True)
    )


def _log_with_epsilon(real, fake):
    return sum(
        -(torch.sigmoid(r) + 1e-7).log().mean() - (1 - torch.sigmoid(f) + 1e-7).log().mean()
        for r, f in zip(real, fake, strict=True)
    )


def _reals_only(real, fake):
    return sum(F.softplus(-r).mean() for r in real)


def _sum_over_patches(real, fake):
    return sum(F.softplus(-r).sum() + F.softplus(f).sum() for r, f in zip(real, fake, strict=True))


def _pooled_patches(real, fake):
    every_real, every_fake = (torch.cat([z.flatten() for z in logits]) for logits in (real, fake))
    return F.softplus(-every_real).mean() + F.softplus(every_fake).mean()


def _hinge(real, fake):
    return sum(F.relu(1 - r).mean() + F.relu(1 + f).mean() for r, f in zip(real, fake, strict=True))


def _mean_over_scales(real, fake):
    return sum(F.softplus(-r).mean() + F.softplus(f).mean() for r, f in zip(real, fake, strict=True)) / len(
        real
    )


def _maximised(real, fake):
    return sum(F.logsigmoid(r).mean() + F.logsigmoid(-f).mean() for r, f in zip(real, fake, strict=True))


def _generator_step(loss=lambda z: F.softplus(-z).mean(), detach=False, zero=True, both=False):
    def step(generator, discriminator, optimiser, x):
        fake = generator(x)
        value = loss(discriminator(fake.detach() if detach else fake))
        if zero:
            optimiser.zero_grad()
        value.backward()
        if not detach:
            optimiser.step()
        if both:
            torch.optim.SGD(discriminator.parameters(), 0.1).step()
        return value

    return step


def _whole_step(detach=True, clear_discriminator=True, clear_generator=True, both=False, keep=None, sign=-1):
    def step(
        generator, discriminator, averaged, generator_optimiser, discriminator_optimiser, x, real, decay
    ):
        if clear_generator:
            generator_optimiser.zero_grad()
        if clear_discriminator:
            discriminator_optimiser.zero_grad()
        fake = generator(x)
        shown = fake.detach() if detach else fake
        loss_of_d = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(shown)).mean()
        loss_of_d.backward(retain_graph=not detach)
        discriminator_optimiser.step()
        if both:
            discriminator_optimiser.zero_grad()
        generator_loss = F.softplus(sign * discriminator(fake)).mean()
        generator_loss.backward()
        generator_optimiser.step()
        if both:
            discriminator_optimiser.step()
        share = decay if keep is None else keep
        with torch.no_grad():
            for mean, weight in zip(averaged.parameters(), generator.parameters(), strict=True):
                mean.mul_(share).add_(weight, alpha=1 - share)
        return loss_of_d, generator_loss

    return step


def _full_size(target, generated):
    whole = target.shape[-2:]
    return [torch.cat([target, F.interpolate(image, size=whole)]).detach() for image in generated]


def _other_order(target, generated):
    pooled = [F.avg_pool2d(target, target.shape[-1] // image.shape[-1]) for image in generated]
    return [
        torch.cat([real, F.interpolate(image, size=real.shape[-2:])]).detach()
        for real, image in zip(reversed(pooled), generated, strict=True)
    ]


def _resized(resize, fake_first=False, detach=True):
    def pictures(target, generated):
        out = []
        for image in generated:
            real = resize(target, target.shape[-1] // image.shape[-1], image.shape[-2:])
            parts = [image, real] if fake_first else [real, image]
            out.append(torch.cat([part.detach() if detach else part for part in parts]))
        return out

    return pictures


def _pooled(target, factor, size):
    return F.avg_pool2d(target, factor)


def _strided(target, factor, size):
    return target[..., ::factor, ::factor]


def _bilinear(target, factor, size):
    return F.interpolate(target, size=size, mode="bilinear", align_corners=False)


def _over_layers(difference=lambda f, r: (f - r.detach()).abs().mean(), share=3):
    return lambda fake, real: sum(difference(f, r) for f, r in zip(fake, real, strict=True)) / share


def _pooled_layers(fake, real):
    return torch.cat([(f - r.detach()).abs().flatten() for f, r in zip(fake, real, strict=True)]).mean()


def _weighted(weight=lambda person, more: 1 + more * person, square=False, over=None):
    def loss(generated, target, person, more):
        difference = (generated - target).square() if square else (generated - target).abs()
        weights = weight(person, more).expand_as(difference)
        return (difference * weights).sum() / (difference.numel() if over is None else over(weights))

    return loss


def _average(decay=lambda n: min(0.999, (1 + n) / (10 + n)), swapped=False, moved="averaged", told=None):
    def update(averaged, generator, n):
        keep = 1 - decay(n) if swapped else decay(n)
        networks = (averaged, generator) if moved == "averaged" else (generator, averaged)
        with torch.no_grad():
            for old, new in zip(*(network.parameters() for network in networks), strict=True):
                old.copy_(keep * old + (1 - keep) * new)
        return decay(n) if told is None else told(n)

    return update


def _average_of_a_copy(averaged, generator, n):
    decay = min(0.999, (1 + n) / (10 + n))
    for old, new in zip(averaged.parameters(), generator.parameters(), strict=True):
        old = decay * old + (1 - decay) * new
    return decay


def _training_loop(
    told=lambda budget, step: budget.progress(step, 0.0),
    indices=lambda order, i: order[i],
    begin=lambda trainer: trainer.step,
    more=0,
    number=lambda trainer: trainer.step,
):
    def loop(dataset, trainer, budget):
        size = trainer.preset.recipe.batch_size
        order = list(islice(ShuffledBatches(len(dataset), size, trainer.seed, begin(trainer)), 12))
        for i in range(budget.steps - trainer.step + more):
            pairs = default_collate([dataset[j] for j in indices(order, i)])
            trainer.train_step(pairs, told(budget, trainer.step))
            yield number(trainer)

    return loop


def _without_yield(dataset, trainer, budget):
    for _ in _training_loop()(dataset, trainer, budget):
        pass


def _without_end(dataset, trainer, budget):
    while True:
        trainer.train_step(default_collate([dataset[0], dataset[1]]))


def _along_channels(target, generated):
    return [
        torch.cat([F.avg_pool2d(target, target.shape[-1] // image.shape[-1]), image], 1).detach()
        for image in generated
    ]


WRONG: dict = {
    "check_best_discriminator": [
        (lambda p, q: q / (p + q), "probability of 'generated'"),
        (lambda p, q: p.log() - q.log(), "sigmoid of it"),
        (lambda p, q: p / q, "can be larger than 1"),
        (lambda p, q: p, "looks at p alone"),
        (lambda p, q: (p > q).float(), "hard yes or no"),
        (lambda p, q: torch.sigmoid(p - q), "p - q is not the logit"),
        (lambda p, q: (p / (p + q)).mean(), "has shape"),
    ],
    "check_generator_loss": [
        (lambda fake: -sum(F.softplus(f).mean() for f in fake), "by the letter"),
        (lambda fake: sum(F.softplus(f).mean() for f in fake), "label 'generated'"),
        (lambda fake: sum(F.logsigmoid(f).mean() for f in fake), "The sign is wrong"),
        (lambda fake: sum(-f.mean() for f in fake), "hinge"),
        (lambda fake: sum(F.softplus(-f).mean() for f in fake) / len(fake), "mean over the scales"),
        (
            lambda fake: F.softplus(-torch.cat([f.flatten() for f in fake])).mean(),
            "Take the mean of each scale",
        ),
        (lambda fake: sum(F.softplus(-f).sum() for f in fake), "would drown"),
        (lambda fake: -sum(torch.sigmoid(f).log().mean() for f in fake), "Stay with logits"),
        (lambda fake: -sum((torch.sigmoid(f) + 1e-7).log().mean() for f in fake), "Stay with logits"),
    ],
    "check_weighted_l1": [
        (_weighted(lambda person, more: more * person), "background counts nothing"),
        (_weighted(lambda person, more: torch.ones_like(person)), "weight is not used"),
        (_weighted(lambda person, more: 1 + person), "`more` is not used"),
        (_weighted(lambda person, more: 1 + (more - 1) * person), "not 1 + more times"),
        (_weighted(over=lambda weights: weights.sum()), "sum of the weights"),
        (_weighted(square=True), "squares (L2)"),
        (_weighted(lambda person, more: (1 + more * person).square()), "used twice"),
        (_weighted(over=lambda weights: 1), "A sum where"),
        (
            lambda made, real, person, more: ((made - real) * (1 + more * person)).mean(),
            "absolute value is missing",
        ),
    ],
    "check_feature_matching": [
        (_over_layers(share=1), "sum over the layers"),
        (_pooled_layers, "all layers into one mean"),
        (_over_layers(lambda f, r: (f - r.detach()).square().mean()), "squares"),
        (_over_layers(lambda f, r: (f.mean() - r.detach().mean()).abs()), "mean of a whole map"),
        (_over_layers(lambda f, r: (f - r.detach()).abs().sum()), "A sum over the features"),
        (_over_layers(lambda f, r: (f - r).abs().mean()), "too. They are what is aimed at"),
        (_over_layers(lambda f, r: (f.detach() - r).abs().mean()), "wrong side is detached"),
        (_over_layers(lambda f, r: (f - r).detach().abs().mean()), "no gradient"),
    ],
    "check_moving_average": [
        (_average(lambda n: 0.999), "thousand steps"),
        (_average(lambda n: max(0.999, (1 + n) / (10 + n))), "thousand steps"),
        (_average(lambda n: (1 + n) / (10 + n)), "take the smaller of the two"),
        (_average(swapped=True), "runs the wrong way"),
        (_average(moved="generator"), "generator's own weights have changed"),
        (_average_of_a_copy, "has not moved"),
        (_average(lambda n: 0.0), "plain copy"),
        (_average(told=lambda n: 1 - min(0.999, (1 + n) / (10 + n))), "you return"),
    ],
    "check_discriminator_loss": [
        (_swapped_labels, "labels are swapped"),
        (_log_of_sigmoid, "its logarithm is lost"),
        (_log_with_epsilon, "a small number inside the logarithm"),
        (_reals_only, "The generated pictures are forgotten"),
        (_sum_over_patches, "the mean is wanted"),
        (_pooled_patches, "Take the mean of each scale"),
        (_mean_over_scales, "mean over the scales"),
        (_hinge, "the loss is "),
        (_maximised, "put a minus in front"),
        (lambda real, fake: F.softplus(-real[0]), "one number"),
    ],
    "check_generator_step": [
        (_generator_step(lambda z: -F.softplus(z).mean()), "saturating"),
        (_generator_step(lambda z: F.softplus(z).mean()), "discriminator's labels"),
        (_generator_step(detach=True), "has not moved"),
        (_generator_step(zero=False), "until zero_grad"),
        (_generator_step(both=True), "discriminator's weights have changed"),
        (_generator_step(lambda z: -z.mean()), "hinge"),
    ],
    "check_training_loop": [
        (_training_loop(told=lambda budget, step: 0.0), "not told the progress"),
        (_training_loop(told=lambda budget, step: budget.progress(step + 1, 0.0)), "BEFORE it"),
        (_training_loop(indices=lambda order, i: [2 * i, 2 * i + 1]), "one person after the other"),
        (_training_loop(indices=lambda order, i: order[0]), "the same pairs"),
        (_training_loop(begin=lambda trainer: 0), "start=trainer.step"),
        (_training_loop(more=-1), "one step too early"),
        (_training_loop(more=1), "One step too many"),
        (_training_loop(number=lambda trainer: trainer.step - 1), "were handed out"),
        (_without_yield, "yields nothing"),
        (_without_end, "does not end"),
    ],
    "check_repaired_step": [
        (_whole_step(detach=False), "learns to be caught. Cut the graph"),
        (_whole_step(clear_discriminator=False), "still finds old gradients"),
        (_whole_step(clear_generator=False), "generator's optimiser finds old gradients"),
        (_whole_step(both=True), "learns to be fooled"),
        (_whole_step(keep=0.1), "runs the wrong way"),
        (_whole_step(keep=1.0), "average has not moved"),
        (_whole_step(sign=1), "discriminator's label"),
    ],
    "check_judged_pictures": [
        (_along_channels, "joined along the channels"),
        (_full_size, "published code"),
        (_other_order, "another order"),
        (_resized(_strided), "aliasing"),
        (_resized(_bilinear), "four pixels only"),
        (_resized(_pooled, fake_first=True), "generated pictures come first"),
        (_resized(_pooled, detach=False), "must be detached"),
    ],
}
