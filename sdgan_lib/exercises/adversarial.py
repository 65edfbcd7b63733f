"""Checks of the exercises of notebook 05_adversarial_training."""

import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import default_collate

from sdgan_lib.batches import ShuffledBatches
from sdgan_lib.discriminators import DiscriminatorConfig, MultiScaleDiscriminator
from sdgan_lib.exercises._verdict import Mistakes, Wrong, compare, exercise, number, watched
from sdgan_lib.losses import discriminator_loss, feature_matching_loss, generator_adversarial_loss, l1_loss
from sdgan_lib.presets import PRESETS, Preset
from sdgan_lib.training import Budget, Trainer, training_steps


@exercise
def check_best_discriminator(my_best_discriminator: Callable[[Tensor, Tensor], Tensor]) -> str:
    """``my_best_discriminator(p, q)``: probabilities of each x, real and generated ``[N]``, to D* ``[N]``."""
    random = torch.Generator().manual_seed(4)
    p, q = (torch.softmax(2 * torch.randn(12, generator=random), 0) for _ in range(2))
    mistakes = [
        (
            "This is the probability of 'generated'. D gives that of 'real': p belongs into the numerator.",
            q / (p + q),
        ),
        (
            "This is the logit z* = log p - log q. D* is the sigmoid of it.",
            p.log() - q.log(),
        ),
        (
            "This is p / q, how many times as frequent x is among the real pictures. It can be larger than 1: no "
            "probability. Of all pictures that look like x, p + q, which share is real?",
            p / q,
        ),
        (
            "D looks at p alone. The same p can mean 'surely real' (q = 0) or 'surely generated' (q much larger).",
            p,
        ),
        (
            "A hard yes or no. The log loss punishes that without end where both kinds of pictures occur: the best D "
            "is as sure as the numbers allow, and no more.",
            (p > q).float(),
        ),
        (
            "The sigmoid is right for a logit, but p - q is not the logit: that is log p - log q.",
            torch.sigmoid(p - q),
        ),
    ]
    compare(my_best_discriminator(p, q), p / (p + q), mistakes, what="D*")
    return "right: of all pictures that look like x, the share that is real. Its logit is log p - log q."


@exercise
def check_discriminator_loss(my_discriminator_loss: Callable[[list[Tensor], list[Tensor]], Tensor]) -> str:
    """``my_discriminator_loss(real, fake)``: logits of each scale to one number, summed over scales (log loss)."""
    generator = torch.Generator().manual_seed(5)
    shapes = [(2, 1, 4, 2), (2, 1, 8, 4), (2, 1, 16, 8)]
    real, fake = ([2 * torch.randn(shape, generator=generator) + 0.5 for shape in shapes] for _ in range(2))
    found = number(my_discriminator_loss(real, fake), "the loss", tensor=True)
    compare(found, discriminator_loss(real, fake), _loss_mistakes(real, fake), what="the loss")
    for real_logit, fake_logit in ((-200.0, 200.0), (200.0, -200.0)):
        far = [torch.full((2, 1), real_logit)], [torch.full((2, 1), fake_logit)]
        found = number(my_discriminator_loss(*far), "the loss", tensor=True)
        expected = discriminator_loss(*far)
        if not found.isfinite():
            raise Wrong(
                f"Right for small logits, but {found.item()} for logits of ±200: in float32 a sigmoid is exactly 0 "
                "or 1 there, and its logarithm is lost. Stay with logits: -log(sigmoid(z)) = softplus(-z)."
            )
        if found < 0.9 * expected:
            raise Wrong(
                f"Right for small logits, but {found.item():.1f} instead of {expected.item():.0f} for logits of "
                "±200: a small number inside the logarithm (or a clamp) keeps the loss finite, and cuts off its "
                "gradient where it is needed most. Stay with logits: -log(sigmoid(z)) = softplus(-z)."
            )
        compare(found, expected, what="the loss for logits of ±200")
    return (
        "right, and finite for any logit: softplus(z) grows like z, where the sigmoid has long been 0 or 1."
    )


def _loss_mistakes(real: list[Tensor], fake: list[Tensor]) -> Mistakes:
    right = discriminator_loss(real, fake)
    for_real, for_fake = [F.softplus(-r) for r in real], [F.softplus(f) for f in fake]
    pooled = [torch.cat([patches.flatten() for patches in terms]) for terms in (for_real, for_fake)]
    return [
        (
            "The labels are swapped: this rewards low logits for real pictures. A positive logit means 'real', so "
            "-log D(real) is softplus(-real).",
            discriminator_loss(fake, real),
        ),
        (
            "The generated pictures are forgotten: a discriminator that calls everything real would have loss 0.",
            sum(term.mean() for term in for_real),
        ),
        (
            "The real pictures are forgotten: a discriminator that calls everything generated would have loss 0.",
            sum(term.mean() for term in for_fake),
        ),
        (
            "You took the sum over the patches where the mean is wanted: the largest scale, with the most patches, "
            "would drown the others.",
            sum(term.sum() for term in for_real + for_fake),
        ),
        (
            "You put the patches of all scales into one mean: the largest scale, with the most patches, would drown "
            "the others. Take the mean of each scale, then add the scales.",
            pooled[0].mean() + pooled[1].mean(),
        ),
        ("You took the mean over the scales; eq. (6) adds one game per scale.", right / len(real)),
        ("You took the mean of the real and the generated term; eq. (6) adds the two.", right / 2),
        (
            "The sign is that of eq. (6), which the discriminator makes as large as it can. An optimiser makes a loss "
            "small: put a minus in front.",
            -right,
        ),
    ]


@exercise
def check_generator_loss(my_generator_loss: Callable[[list[Tensor]], Tensor]) -> str:
    """``my_generator_loss(fake)``: logits of each scale to one number, summed over scales (non-saturating log loss)."""
    generator = torch.Generator().manual_seed(6)
    shapes = [(2, 1, 4, 2), (2, 1, 8, 4), (2, 1, 16, 8)]
    fake = [2 * torch.randn(shape, generator=generator) - 0.5 for shape in shapes]
    found = number(my_generator_loss(fake), "the loss", tensor=True)
    right = generator_adversarial_loss(fake)
    mistakes = [
        (
            "This is eq. (6) by the letter, log(1 - D(fake)): right in sign, but its slope is almost 0 while D is sure "
            "of itself. Take -log D(fake).",
            -sum(F.softplus(f).mean() for f in fake),
        ),
        (
            "This is D's own term for generated pictures, with the label 'generated': the generator would learn to be "
            "caught. It wants the label 'real'.",
            sum(F.softplus(f).mean() for f in fake),
        ),
        ("The sign is wrong: this is log D(fake), which is to become large. A loss is made small.", -right),
        ("This is the hinge loss; the log loss is asked for.", sum(-f.mean() for f in fake)),
        ("You took the mean over the scales; the games of the scales are added.", right / len(fake)),
        (
            "You put the patches of all scales into one mean: the largest scale, with the most patches, would drown "
            "the others. Take the mean of each scale, then add the scales.",
            F.softplus(-torch.cat([f.flatten() for f in fake])).mean(),
        ),
        (
            "You took the sum over the patches where the mean is wanted: the largest scale, with the most patches, "
            "would drown the others.",
            sum(F.softplus(-f).sum() for f in fake),
        ),
    ]
    compare(found, right, mistakes, what="the loss")
    sure = [torch.full((2, 1), -200.0)]
    found = number(my_generator_loss(sure), "the loss", tensor=True)
    if not found.isfinite() or found < 180:
        raise Wrong(
            f"Right for small logits, but {found.item():.4g} instead of 200 for a logit of -200, where D is sure and "
            "the generator needs its push most: the logarithm of a sigmoid is lost there. Stay with logits."
        )
    compare(found, generator_adversarial_loss(sure), what="the loss for a logit of -200")
    return "right, and with a full push where D is sure that the picture is generated."


@exercise
def check_weighted_l1(my_weighted_l1: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> str:
    """``my_weighted_l1(generated, target, person, more)``: mean difference in which the person counts 1 + more times.

    ``generated`` and ``target`` are ``[B, 3, h, w]``, ``person`` is ``[B, 1, h, w]`` in [0, 1].
    """
    random = torch.Generator().manual_seed(9)
    generated, target = (torch.rand(2, 3, 8, 6, generator=random) * 2 - 1 for _ in range(2))
    person, more = torch.rand(2, 1, 8, 6, generator=random).clamp(0.2, 0.8) / 0.6 - 1 / 3, 3.0
    difference, weight = (generated - target).abs(), 1 + more * person
    right = l1_loss([generated], [target], [weight])
    mistakes = [
        (
            "The background counts nothing: the weight of a pixel is 1 + more * person, not more * person.",
            (difference * more * person).mean(),
        ),
        ("Every pixel counts alike: the weight is not used.", difference.mean()),
        ("The weight is 1 + person: `more` is not used.", (difference * (1 + person)).mean()),
        (
            "The person counts `more` times here, not 1 + more times.",
            (difference * (1 + (more - 1) * person)).mean(),
        ),
        (
            "You divided by the sum of the weights. The mean is over the number of pixels: so the background counts as "
            "much as before, and the person more.",
            (difference * weight).sum() / weight.expand_as(difference).sum(),
        ),
        ("These are squares (L2); absolute differences are wanted.", (difference.square() * weight).mean()),
        (
            "A sum where the mean is wanted: the loss would grow with the picture's size.",
            (difference * weight).sum(),
        ),
        (
            "Differences above and below the target cancel: the absolute value is missing.",
            ((generated - target) * weight).mean(),
        ),
        (
            "The weight is used twice: multiply each absolute difference by it once.",
            (difference * weight.square()).mean(),
        ),
    ]
    found = number(my_weighted_l1(generated, target, person, more), "the loss", tensor=True)
    compare(found, right, mistakes, what="the loss", rtol=1e-5, atol=1e-5)
    return f"right: a pixel of the person counts {1 + more:g} times, one of the background once."


@exercise
def check_feature_matching(my_feature_matching: Callable[[list[Tensor], list[Tensor]], Tensor]) -> str:
    """``my_feature_matching(fake, real)``: features of each layer to the mean difference, averaged over the layers.

    A gradient reaches the generated pictures' features, and none the real ones'.
    """
    random = torch.Generator().manual_seed(10)
    shapes = [(2, 4, 8, 4), (2, 8, 4, 2), (2, 16, 2, 1)]
    fake, real = (
        [torch.randn(shape, generator=random).requires_grad_() for shape in shapes] for _ in range(2)
    )
    loss = my_feature_matching(fake, real)
    layers = [(f - r).detach().abs() for f, r in zip(fake, real, strict=True)]
    right = feature_matching_loss(fake, real).detach()
    mistakes = [
        (
            "You took the sum over the layers; their mean is wanted, so that a deeper D weighs the same.",
            3 * right,
        ),
        (
            "You put all layers into one mean: the first layer, with the largest maps, would drown the others. Take "
            "the mean of each layer, then the mean over the layers.",
            torch.cat([layer.flatten() for layer in layers]).mean(),
        ),
        (
            "These are squares; absolute differences are wanted.",
            sum(layer.square().mean() for layer in layers) / 3,
        ),
        (
            "You compare the mean of a whole map with the mean of another: where something is does not count then. "
            "Take the difference first, then the mean.",
            sum((f.mean() - r.mean()).detach().abs() for f, r in zip(fake, real, strict=True)) / 3,
        ),
        ("A sum over the features where the mean is wanted.", sum(layer.sum() for layer in layers) / 3),
    ]
    compare(number(loss, "the loss", tensor=True), right, mistakes, what="the loss", rtol=1e-5, atol=1e-5)
    if not loss.requires_grad:
        raise Wrong(
            "The right value, but no gradient: the generated pictures' features are detached (or it was computed under "
            "no_grad), and the generator would learn nothing from it."
        )
    loss.backward()
    if any(r.grad is not None and r.grad.abs().max() > 0 for r in real):
        if any(f.grad is None for f in fake):
            raise Wrong(
                "The wrong side is detached: the gradient reaches the REAL pictures' features and not the generated "
                "ones'. The real ones are what is aimed at; detach those."
            )
        raise Wrong(
            "The right value, but a gradient reaches the real pictures' features, too. They are what is aimed at: "
            "detach them, else D's layers could be asked to move towards the generated pictures."
        )
    if any(f.grad is None for f in fake):
        raise Wrong(
            "The gradient does not reach the generated pictures' features of every layer: detach the real side alone."
        )
    return "right: the generated pictures' features move towards the real ones', which stand still."


@exercise
def check_moving_average(my_moving_average: Callable[[nn.Module, nn.Module, int], float]) -> str:
    """``my_moving_average(averaged, generator, n)``: move the average, in place; returns the decay that was used.

    ``n`` is how many steps were made before; the decay is min(0.999, (1 + n) / (10 + n)).
    """
    generator, *_ = _small_networks()
    for n in (1, 20, 100_000):
        averaged, current = copy.deepcopy(generator), copy.deepcopy(generator)
        with torch.no_grad():
            for i, weight in enumerate(current.parameters()):
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(i)))
        before, new = _flat(averaged), _flat(current)
        told = my_moving_average(averaged, current, n)
        if not torch.equal(_flat(current), new):
            raise Wrong("The generator's own weights have changed; only the average may.")
        start, late = (1 + n) / (10 + n), 0.999
        decay = min(late, start)

        def mixed(keep, before=before, new=new):
            return keep * before + (1 - keep) * new

        mistakes = [
            (
                "The average has not moved. Change its weights in place, as with old.mul_(…).add_(…).",
                before,
            ),
            (
                "It runs the wrong way: keep `decay` of the OLD average and take 1 - decay of the new weights.",
                mixed(1 - decay),
            ),
            (
                f"At n = {n} you keep 0.999 of the old: the random first weights would stay in the average for a "
                "thousand steps. At the start the decay is (1 + n) / (10 + n).",
                mixed(late),
            ),
            (
                f"At n = {n} the decay is (1 + n) / (10 + n) = {start:.6f}, more than 0.999: take the smaller of the "
                "two, not the larger.",
                mixed(max(late, start)),
            ),
            (
                "The average is a plain copy of the newest weights: then it averages nothing.",
                new,
            ),
        ]
        compare(_flat(averaged), mixed(decay), mistakes, what=f"a weight at n = {n}", rtol=1e-5, atol=1e-5)
        found = number(told, "the decay that you return")
        if abs(found.item() - decay) > 1e-4:
            raise Wrong(
                f"The average is right, but at n = {n} you return {found.item():.4g}: the decay {decay:.4g} is wanted."
            )
    return "right: it forgets the random start within some steps, and remembers a thousand later on."


@exercise
def check_generator_step(my_generator_step: Callable) -> str:
    """``my_generator_step(generator, discriminator, optimiser, x)``: one step of the generator; returns its loss.

    After it the generator's weights have moved along the gradient of -log D(generator(x)), and nothing else has.
    """
    generator, discriminator, x = _small_networks()
    network, optimiser = _prepared(generator)
    watched_discriminator = copy.deepcopy(discriminator)
    loss = my_generator_step(network, watched_discriminator, optimiser, x)
    if not torch.equal(_flat(watched_discriminator), _flat(discriminator)):
        raise Wrong(
            "The discriminator's weights have changed. In the generator's step only the generator moves: step the "
            "optimiser you are given, and no other."
        )

    found, right = _flat(network), _stepped(generator, discriminator, x, _wanted)
    compare(found, right, _step_mistakes(generator, discriminator, x), what="a weight of the generator")
    with torch.no_grad():
        value = _wanted(discriminator(generator(x)))
    compare(number(loss, "the loss", tensor=True), value, what="the loss you return")
    return "right: the gradient flows through the discriminator, which itself stands still."


def _wanted(logits: Tensor) -> Tensor:
    return generator_adversarial_loss([logits])


def _stepped(
    generator: nn.Module,
    discriminator: nn.Module,
    x: Tensor,
    loss: Callable[[Tensor], Tensor],
    fresh: bool = True,
) -> Tensor:
    """The generator's weights after one step by ``loss`` of the logits, with or without a call of zero_grad."""
    network, optimiser = _prepared(generator)
    if fresh:
        optimiser.zero_grad()
    loss(discriminator(network(x))).backward()
    optimiser.step()
    return _flat(network)


def _step_mistakes(generator: nn.Module, discriminator: nn.Module, x: Tensor) -> Mistakes:
    stepped = functools.partial(_stepped, generator, discriminator, x)
    return [
        (
            "The generator has not moved. Was its picture detached, or made under no_grad? Here the gradient must flow "
            "through the discriminator into the picture, and on into the generator. Or was optimiser.step() left "
            "out?",
            _flat(generator),
        ),
        (
            "This is the saturating loss log(1 - D(fake)): right in sign, but its gradient dies while the "
            "discriminator is sure of itself. Take -log D(fake) = softplus(-logit).",
            stepped(lambda z: -F.softplus(z).mean()),
        ),
        (
            "These are the discriminator's labels: with softplus(logit) the generator learns to look MORE generated. "
            "The generator wants its pictures to be called real: softplus(-logit).",
            stepped(lambda z: F.softplus(z).mean()),
        ),
        (
            "Old gradients are still in there: PyTorch adds to .grad until zero_grad() is called.",
            stepped(_wanted, fresh=False),
        ),
        ("The step goes by the hinge loss; the log loss is asked for.", stepped(lambda z: -z.mean())),
    ]


@exercise
def check_training_loop(my_training_loop: Callable) -> str:
    """``my_training_loop(dataset, trainer, budget)``: steps until the budget is spent; yields the number of each.

    Run twice on one trainer, for four steps and then up to six; each time its generator must be what
    :func:`sdgan_lib.training.training_steps` makes of the same pairs.
    """
    judged = watched(functools.partial(_two_parts, my_training_loop.__wrapped__))
    told, found = judged()
    if told == [None]:
        raise Wrong(
            "The loop trains, but yields nothing: `yield trainer.step` after each step hands its number out."
        )
    steps, right = _two_parts(training_steps)
    mistakes = [
        (message, _two_parts(functools.partial(_faulty_loop, fault))[1]) for fault, message in _LOOP_SLIPS
    ]
    first = found[0]
    compare(
        first,
        right[0],
        [(message, weights[0]) for message, weights in mistakes],
        what="a weight after the loop",
    )
    if len(told) > len(steps):
        raise Wrong("One step too many: ask whether the progress is 1 BEFORE the step.")
    if told != steps:
        raise Wrong(
            f"The weights are right, but the numbers {told} were handed out where {steps} are wanted: yield "
            "trainer.step once per step, after it."
        )
    compare(
        found[1],
        right[1],
        [
            (
                "Right from the start, but when a run goes on at step 4 it is dealt the first pairs again: tell "
                "ShuffledBatches where to begin, start=trainer.step.",
                _two_parts(functools.partial(_faulty_loop, "start"))[1][1],
            )
        ],
        what="a weight after going on at step 4",
    )
    return "right: the same weights as the library's loop makes, from the start and when a run goes on."


_LOOP_SLIPS = [
    (
        "progress",
        "train_step is not told the progress: it always thinks that the run has just begun. So the discriminators "
        "never come in and the rates never fall.",
    ),
    (
        "order",
        "The pairs come in their own order, one person after the other. Take the order of ShuffledBatches.",
    ),
    (
        "same",
        "Every step gets the same pairs: ShuffledBatches is to be made once, before the loop, not in every step.",
    ),
    (
        "late",
        "The progress is asked after the step is counted: train_step gets the share that was spent BEFORE it.",
    ),
    (
        "short",
        "The loop ends one step too early: it ends when the progress is 1, not when one more step would do it.",
    ),
]


class _FewPairs:
    """Eight small pairs of noise; it complains when far more are asked for than a short run needs."""

    def __init__(self):
        random = torch.Generator().manual_seed(11)
        self.asked = 0
        shapes = {"image": (3, 32, 16), "pose": (18, 2)}
        self.items = [
            {
                f"{role}_{kind}": torch.rand(shape, generator=random) * (2.0 if kind == "image" else 15.0)
                for role in ("source", "target")
                for kind, shape in shapes.items()
            }
            for _ in range(8)
        ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict:
        self.asked += 1
        if self.asked > 60:
            raise RuntimeError("the loop does not end: it asks for ever more pairs")
        return self.items[index]


def _tiny() -> Preset:
    preset = PRESETS["baseline"].with_width(2)
    recipe = replace(preset.recipe, batch_size=2, half_size=0.0, adversarial_start=0.4, decay_share=1.0)
    return replace(preset, discriminator=DiscriminatorConfig((4,)), recipe=recipe)


def _two_parts(loop: Callable) -> tuple[list, list[Tensor]]:
    """The numbers that a loop hands out in four steps, then up to six, and the weights after each part."""
    told, weights, dataset = [], [], _FewPairs()
    with torch.random.fork_rng(devices=[]):
        trainer = Trainer(_tiny(), seed=1, device="cpu")
        for end in (4, 6):
            numbers = loop(dataset, trainer, Budget(steps=end))
            if numbers is None:
                if trainer.step:
                    return [None], weights
                raise NotImplementedError
            told += list(islice(numbers, 12))
            weights.append(_flat(trainer.generator))
    return told, weights


def _faulty_loop(fault: str, dataset: _FewPairs, trainer: Trainer, budget: Budget) -> Iterator[int]:
    """The loop with one named fault."""
    size, begin = trainer.preset.recipe.batch_size, 0 if fault == "start" else trainer.step
    order = list(islice(ShuffledBatches(len(dataset), size, trainer.seed, begin), 12))
    for i in range(12):
        progress = budget.progress(trainer.step, 0.0)
        if progress == 1:
            return
        told = {"progress": 0.0, "late": budget.progress(trainer.step + 1, 0.0)}.get(fault, progress)
        indices = {"order": [2 * i % 8, 2 * i % 8 + 1], "same": order[0]}.get(fault, order[i])
        trainer.train_step(default_collate([dataset[j] for j in indices]), told)
        yield trainer.step
        if fault == "short" and trainer.step == budget.steps - 1:
            return


@exercise
def check_repaired_step(my_repaired_step: Callable) -> str:
    """``my_repaired_step(generator, discriminator, averaged, two optimisers, x, real, decay)``: one whole step.

    The optimisers are the generator's and the discriminator's. Run three times; generator, discriminator and
    average must then be what a right loop makes.
    """
    found = _three_steps(my_repaired_step)
    mistakes = [(message, _three_steps(_loop(fault))) for fault, message in _LOOP_FAULTS]
    compare(found, _three_steps(_loop()), mistakes, what="a weight")
    return "repaired: discriminator, generator and average are what a right loop makes, three steps on."


_LOOP_FAULTS = [
    (
        "detach",
        "The discriminator's loss still reaches the generator: its gradient is added to the generator's, which so "
        "learns to be caught. Cut the graph before the discriminator's loss: fake.detach().",
    ),
    (
        "both",
        "The discriminator's optimiser steps after the generator's loss, too: so the discriminator learns to be "
        "fooled. The generator's loss may move the generator only.",
    ),
    (
        "stale discriminator",
        "The discriminator's optimiser still finds old gradients: what the generator's loss left in the "
        "discriminator. Call its zero_grad() right before its own backward().",
    ),
    (
        "stale generator",
        "The generator's optimiser finds old gradients: PyTorch adds to .grad until zero_grad() is called. Call it "
        "once per step.",
    ),
    (
        "average",
        "The average runs the wrong way: with decay 0.9 it keeps 0.1 of itself and takes 0.9 of the newest weights, "
        "so it averages nothing. Keep decay of the old, add 1 - decay of the new.",
    ),
    (
        "no average",
        "The average has not moved: the pictures you would look at later come from the first weights.",
    ),
    (
        "labels",
        "The generator uses the discriminator's label for its pictures: it learns to be caught. It wants them to be "
        "called real.",
    ),
    ("idle", "No weight has moved: where are the backward() and step() of both networks?"),
    ("frozen discriminator", "The discriminator does not learn: it never makes a step."),
    (
        "frozen generator",
        "The generator does not learn: its picture was cut off (detached) in its own step too, or its optimiser "
        "never steps.",
    ),
]


@exercise
def check_judged_pictures(my_judged_pictures: Callable[[Tensor, list[Tensor]], list[Tensor]]) -> str:
    """``my_judged_pictures(target, generated)``: per scale ``[2B, 3, h, w]``, real ones first, no gradient.

    ``target`` is ``[B, 3, H, W]``; ``generated`` holds one ``[B, 3, h, w]`` per scale, in any order of scales.
    """
    random = torch.Generator().manual_seed(8)
    for factors, (height, width) in (((4, 2, 1), (32, 16)), ((1, 2), (24, 32))):
        target = torch.rand(2, 3, height, width, generator=random) * 2 - 1
        made = [torch.rand(2, 3, height // f, width // f, generator=random) * 2 - 1 for f in factors]
        found = my_judged_pictures(target, [picture.clone().requires_grad_() for picture in made])
        _check_sizes(found, target, made)
        reals = MultiScaleDiscriminator(DiscriminatorConfig((1,)), factors).reals(target)
        for pictures, real, fake, factor in zip(found, reals, made, factors, strict=True):
            _check_scale(pictures, target, real, fake, factor)
    return "right: every discriminator compares like with like, and the generator is left out of this loss."


def _check_sizes(found: object, target: Tensor, made: list[Tensor]) -> None:
    """Raise :class:`Wrong` unless ``found`` holds pictures of the sizes of those ``made``, in the same order."""
    if not isinstance(found, list | tuple) or len(found) != len(made):
        raise Wrong(f"a list of {len(made)} tensors is wanted, one per scale, in the order of `generated`.")
    if not all(isinstance(pictures, Tensor) and pictures.ndim == 4 for pictures in found):
        raise Wrong("every entry of the list must be one tensor [2B, 3, h, w].")
    for pictures, fake in zip(found, made, strict=True):
        if pictures.shape[0] == len(fake) and pictures.shape[1] == 2 * fake.shape[1]:
            raise Wrong(
                "Real and generated pictures are joined along the channels: one picture of 6 channels per pair. "
                "They are separate pictures of one batch: torch.cat([real, fake]), along dimension 0."
            )
    sizes, wanted = ([tuple(x.shape[-2:]) for x in pictures] for pictures in (found, made))
    if sizes == wanted:
        return
    if set(sizes) == {tuple(target.shape[-2:])}:
        hint = (
            "All at full size is what the published code does: it enlarges the small pictures and never shows the "
            "discriminator a real picture of their own scale."
        )
    else:
        hint = "Are the scales in another order than in `generated`? Read the size off each picture."
    raise Wrong(f"your pictures have the sizes {sizes}; {wanted} are wanted. {hint}")


def _check_scale(found: Tensor, target: Tensor, real: Tensor, fake: Tensor, factor: int) -> None:
    what = f"the batch of scale 1/{factor}"
    size = real.shape[-2:]
    picked = F.interpolate(target, size=size, mode="nearest")
    bilinear = F.interpolate(target, size=size, mode="bilinear", align_corners=False)
    mistakes = [
        (
            "The generated pictures come first; the discriminator's logits are read as real first.",
            torch.cat([fake, real]),
        ),
        (
            "Every second (fourth) pixel is picked, the others are thrown away: stripes turn into false patterns "
            "(aliasing). The real picture of a smaller scale is an average: avg_pool2d.",
            torch.cat([picked, fake]),
        ),
        (
            "Bilinear interpolation looks at four pixels only, however many one small pixel stands for. Average "
            "them all: avg_pool2d.",
            torch.cat([bilinear, fake]),
        ),
        ("Only the real pictures are there; the generated ones are to follow them in the same batch.", real),
        ("Only the generated pictures are there; the real ones are to stand before them.", fake),
    ]
    compare(found.detach(), torch.cat([real, fake]), mistakes, what=what)
    if found.requires_grad:
        raise Wrong(
            f"{what} has the right pictures, but its gradient still leads into the generator: in the "
            "discriminator's step the generated pictures must be detached."
        )


def _small_networks() -> tuple[nn.Module, nn.Module, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        generator = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 6))
        discriminator = nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1))
        return generator, discriminator, torch.randn(16, 4)


def _flat(network: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def _prepared(generator: nn.Module) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A copy of the generator in which an earlier step has left gradients, as in any loop."""
    network = copy.deepcopy(generator)
    for weight in network.parameters():
        weight.grad = torch.full_like(weight, 0.3)
    return network, torch.optim.SGD(network.parameters(), 0.5)


def _three_steps(step: Callable) -> Tensor:
    """All weights of generator, discriminator and average after three steps from the same start."""
    generator, discriminator, x = _small_networks()
    averaged = copy.deepcopy(generator)
    optimisers = [torch.optim.SGD(network.parameters(), 0.3) for network in (generator, discriminator)]
    for i in range(3):
        real = torch.randn(16, 6, generator=torch.Generator().manual_seed(i)) + 1
        with torch.enable_grad():
            step(generator, discriminator, averaged, *optimisers, x + i, real, 0.9)
    return torch.cat([_flat(network) for network in (generator, discriminator, averaged)])


def _loop(fault: str = "") -> Callable:
    """The whole step, right or with one named fault."""

    def step(
        generator, discriminator, averaged, generator_optimiser, discriminator_optimiser, x, real, decay
    ):
        if fault == "idle":
            return
        fake = generator(x)
        if fault != "stale generator":
            generator_optimiser.zero_grad()
        if fault != "stale discriminator":
            discriminator_optimiser.zero_grad()
        shown = fake if fault == "detach" else fake.detach()
        discriminator_loss([discriminator(real)], [discriminator(shown)]).backward(
            retain_graph=fault == "detach"
        )
        if fault != "frozen discriminator":
            discriminator_optimiser.step()
        if fault == "both":
            discriminator_optimiser.zero_grad()
        logits = discriminator(fake)
        (F.softplus(logits).mean() if fault == "labels" else generator_adversarial_loss([logits])).backward()
        if fault != "frozen generator":
            generator_optimiser.step()
        if fault == "both":
            discriminator_optimiser.step()
        keep = {"average": 1 - decay, "no average": 1.0}.get(fault, decay)
        with torch.no_grad():
            for mean, weight in zip(averaged.parameters(), generator.parameters(), strict=True):
                mean.mul_(keep).add_(weight, alpha=1 - keep)

    return step
