"""LPIPS, FID, KID and Inception scores: how different networks trained on photographs find pictures.

The networks are torchmetrics' and torch-fidelity's, with the weights that all papers use. Nothing here is ever part of
a training loss. What the numbers depend on, and how it is done here:

- FID's network gets pictures as bytes, enlarged to 299 x 299 as TensorFlow 1 did it, bilinear and without antialiasing.
  LPIPS is version 0.1 on AlexNet and sees pictures at their own size.
- FID and KID compare the pictures made for the test pairs with the targets of the same pairs. Papers that take the
  training pictures instead, or resize otherwise, print other numbers; and FID grows as pictures become fewer.
- KID takes no subsets: it is :func:`sdgan_lib.metrics.kernel_distance`, over all pictures of different people. FID is
  :func:`sdgan_lib.metrics.frechet_distance`.
- IS, and mask-IS of the picture times the target's pose mask (Ma et al. 2017; black elsewhere), are means over ten
  parts of the pictures, in an order drawn by a fixed seed. They know no target, and classes of things and animals only.
"""

import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from sdgan_lib.errors import Problem, UserError

SPLITS = 10  # parts over which an Inception score is averaged (Salimans et al. 2016)


class Perceptual:
    """The networks behind ``lpips``, ``fid``, ``kid``, ``is`` and ``mask_is``.

    Their weights are two files, AlexNet's (244 MB) and Inception's (96 MB), fetched on first use.

    Args:
        weights: folder laid out as torch.hub's, with the files in ``checkpoints/``, or into which they are fetched. By
            default torch.hub's own, ``~/.cache/torch/hub`` or ``$TORCH_HOME/hub``.
        device: where the networks work.

    Raises:
        UserError: a file is missing and cannot be fetched, or is damaged; the message tells the ways out.
    """

    def __init__(self, weights: str | Path | None = None, device: str | torch.device = "cpu") -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity
        from torchvision.models import AlexNet_Weights

        with _hub(weights):
            with _weights_of(AlexNet_Weights.DEFAULT.url):
                self._lpips = LearnedPerceptualImagePatchSimilarity("alex").net.to(device)
            with _weights_of(URL_INCEPTION_V3):
                # 2048 features before the last layer, and its 1008 logits, their bias left out as by all who compute IS
                inception = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
                self._inception = inception.to(device)

    @torch.inference_mode()
    def lpips(self, generated: Tensor, target: Tensor) -> Tensor:
        """LPIPS (Zhang et al. 2018) of pictures ``[B, 3, H, W]`` in [-1, 1]: float64 ``[B]``, 0 for equal ones."""
        return self._lpips(generated.float(), target.float()).view(-1).double()

    @torch.inference_mode()
    def inception(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """What Inception v3 sees in pictures ``[B, 3, H, W]`` in [-1, 1].

        Returns:
            Features for FID and KID ``[B, 2048]``, and logits for :meth:`inception_score` ``[B, 1008]``.
        """
        return self._inception(((pictures.clamp(-1, 1) + 1) * 127.5).round().byte())

    @staticmethod
    def inception_score(logits: Tensor) -> float:
        """Inception score (Salimans et al. 2016) of pictures with these logits ``[N, 1008]``: 1 or more."""
        from torchmetrics.image.inception import InceptionScore

        with warnings.catch_warnings(), torch.random.fork_rng([]):
            warnings.simplefilter("ignore", UserWarning)  # that it keeps all features, here a few megabytes
            torch.manual_seed(0)
            score = InceptionScore(nn.Identity(), splits=SPLITS)
            score.update(logits.double())
            return score.compute()[0].item()


@contextmanager
def _hub(folder: str | Path | None) -> Iterator[None]:
    """Let torch.hub read and keep files in a folder."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(before if folder is None else folder)
    try:
        yield
    finally:
        torch.hub.set_dir(before)


@contextmanager
def _weights_of(url: str) -> Iterator[None]:
    """Have a file of weights in torch.hub's folder for the library that loads it, or say what to do.

    The file is read once before, as one of weights alone: what a library does not forbid, code in it, is not run.
    """
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    try:
        torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
        yield
    except OSError as error:
        raise UserError(
            Problem(
                path,
                f"these weights are not there, and cannot be fetched ({error})",
                f"run it where there is a network, once; or get {url} by other means and put it there, or into "
                "DIR/checkpoints and name DIR (--weights DIR)",
            )
        ) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        message = f"damaged, or not the weights of {url}: {' '.join(str(error).split())}"
        raise UserError(Problem(path, message, "remove it and let it be fetched, or get it anew")) from error
