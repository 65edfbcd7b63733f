"""perceptual.py with files of weights of the right layout and random values: LPIPS, Inception, IS, faults."""

import io
import pickle
import shutil
from unittest.mock import patch
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch_fidelity import feature_extractor_inceptionv3 as fidelity
from torchmetrics.functional.image import lpips as torchmetrics_lpips
from torchmetrics.image.fid import NoTrainInceptionV3
from torchvision.models import alexnet

from sdgan_lib import perceptual
from sdgan_lib.cli import main
from sdgan_lib.datasets import PersonPairs
from sdgan_lib.errors import UserError
from sdgan_lib.evaluation import copy_source, evaluate, target_itself
from sdgan_lib.metrics import pose_mask
from sdgan_lib.perceptual import Perceptual
from sdgan_lib.reports import markdown_table, text_table

ALEXNET, INCEPTION = "alexnet-owt-7be5be79.pth", "weights-inception-2015-12-05-6726825d.pth"


def random_weights(network: nn.Module, seed: int) -> dict:
    """Values that keep signals at their size; layers with very many weights hold one value, and so a small file."""
    generator, found = torch.Generator().manual_seed(seed), {}
    for name, value in network.state_dict().items():
        if value.ndim == 4:
            found[name] = torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5
        elif value.numel() > 1 << 22:
            found[name] = torch.full((1,), 0.01).expand(value.shape)
        elif name.endswith("fc.weight"):
            found[name] = torch.randn(value.shape, generator=generator) * 0.3
        else:
            found[name] = torch.ones(value.shape) if "running_var" in name else torch.zeros(value.shape)
            found[name] += name.endswith("bn.weight")
    return found


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder as torch.hub keeps it, with both files."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "checkpoints").mkdir()
    with torch.device("meta"):
        network = alexnet()
    torch.save(random_weights(network, 0), folder / "checkpoints" / ALEXNET)
    extractor = fidelity.FeatureExtractorInceptionV3
    with (
        patch.object(fidelity, "load_state_dict_from_url"),
        patch.object(extractor, "load_state_dict"),
        torch.device("meta"),
    ):
        network = extractor("inception-v3-compat", ["2048"])
    torch.save(random_weights(network, 1), folder / "checkpoints" / INCEPTION)
    return folder


@pytest.fixture(scope="module")
def networks(hub):
    with patch("torch.hub.download_url_to_file", side_effect=AssertionError("they are there")):
        return Perceptual(hub)


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(count, 3, 8, 4, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return nn.functional.interpolate(coarse, (128, 64), mode="bilinear")


def test_lpips_equals_its_definition_on_alexnet(networks, hub):
    """Zhang et al. 2018, equation 1: differences of unit-length features, weighted, averaged, summed over layers."""
    made, target = pictures(3), pictures(3, seed=1)
    network = alexnet()
    network.load_state_dict(torch.load(hub / "checkpoints" / ALEXNET))
    linear = torch.load(str(torchmetrics_lpips.__file__).replace("lpips.py", "lpips_models/alex.pth"), "cpu")
    mean, std = torch.tensor([[-0.030, -0.088, -0.188], [0.458, 0.448, 0.450]]).view(2, 3, 1, 1)
    a, b, total = (made - mean) / std, (target - mean) / std, 0
    with torch.no_grad():
        for i, layer in enumerate(network.features):
            a, b = layer(a), layer(b)
            if i in (1, 4, 7, 9, 11):  # the five ReLUs
                weights = linear[f"lin{(1, 4, 7, 9, 11).index(i)}.model.1.weight"]
                difference = (normalize(a, dim=1) - normalize(b, dim=1)).square()
                total = total + (difference * weights.view(1, -1, 1, 1)).sum(1).mean((1, 2))
    measured = networks.lpips(made, target)
    assert measured.dtype == torch.float64 and measured.min() > 0.01
    torch.testing.assert_close(measured, total.double(), rtol=1e-3, atol=1e-6)
    assert networks.lpips(target, target).tolist() == [0, 0, 0]


def test_inception_sees_what_the_network_of_torchmetrics_fid_sees_in_the_bytes(networks, hub):
    made = pictures(2, seed=2)
    features, logits = networks.inception(made)
    assert features.shape == (2, 2048) and logits.shape == (2, 1008) and features.std() > 0.01
    theirs = NoTrainInceptionV3(
        "inception-v3-compat", ["2048"], str(hub / "checkpoints" / INCEPTION), antialias=False
    )
    torch.testing.assert_close(features, theirs(((made + 1) * 127.5).round().byte()))
    torch.testing.assert_close(logits, features @ theirs.fc.weight.T)


def test_an_inception_score_equals_its_definition():
    """Exp of the mean divergence of a picture's classes from those of its part; the mean over ten parts."""
    logits = 3 * torch.randn(45, 12, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(0)
    order = torch.randperm(45).numpy()
    p = np.exp(logits.double().numpy()[order])
    p /= p.sum(1, keepdims=True)
    scores = [np.exp((x * np.log(x / x.mean(0))).sum(1).mean()) for x in np.split(p, range(5, 45, 5))]
    before = torch.random.get_rng_state()
    assert Perceptual.inception_score(logits) == pytest.approx(np.mean(scores)) != 1
    assert torch.equal(torch.random.get_rng_state(), before)
    assert Perceptual.inception_score(torch.ones(20, 12)) == pytest.approx(1)


@pytest.mark.slow
def test_an_evaluation_with_the_networks(networks, monkeypatch):
    monkeypatch.setattr(perceptual, "SPLITS", 1)  # two pictures only
    test = PersonPairs("data/people", "test", pairs="all")
    test.pairs = test.pairs[::500]
    answers = {
        "copy": copy_source,
        "target_itself": target_itself,
        "beside": lambda batch: batch["target_image"].where(  # wrong where no mask of the pose looks
            pose_mask(batch["target_pose"], 128, 64), batch["source_image"]
        ),
    }
    result = evaluate(answers, test, perceptual=networks, quiet=True)
    means = result.means()["all"]
    assert means["target_itself"]["lpips"] == 0 < means["copy"]["lpips"]
    assert means["target_itself"]["fid"] == pytest.approx(0, abs=1e-3) and means["copy"]["fid"] > 1
    assert means["target_itself"]["kid"] == pytest.approx(0, abs=1e-6) and means["copy"]["kid"] != 0
    assert means["beside"]["mask_is"] == pytest.approx(means["target_itself"]["mask_is"], abs=1e-4)
    assert means["beside"]["is"] != means["target_itself"]["is"]
    table = result.table()
    assert table["all"]["copy"]["kid"].mean == means["copy"]["kid"]
    heading = next(line for line in text_table(table).splitlines() if "lpips" in line)
    assert heading.split()[2:] == ["lpips", "fid", "kid", "is", "mask_is"]
    assert "| lpips | fid | kid | is | mask_is | ssim_own_range |" in markdown_table(table)


def test_weights_that_are_not_there_are_fetched(hub, tmp_path):
    fetched = []

    def fetch(url, target, *_, **__):
        fetched.append(url)
        shutil.copy(hub / "checkpoints" / url.rpartition("/")[2], target)

    before = torch.hub.get_dir()
    with patch("torch.hub.download_url_to_file", fetch):
        Perceptual(tmp_path)
    assert [url.rpartition("/")[2] for url in fetched] == [ALEXNET, INCEPTION]
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {ALEXNET, INCEPTION}
    assert torch.hub.get_dir() == before


class Harmful:
    """What a pickle can hold that is not weights."""

    def __reduce__(self):
        return print, ("run",)


def test_without_network_or_with_wrong_files_the_ways_out_are_told(hub, tmp_path, capsys):
    with patch("torch.hub.urlopen", side_effect=URLError("no route")):
        with pytest.raises(UserError) as told:
            Perceptual(tmp_path)
        assert main(["evaluate", "none.pt", "--weights", str(tmp_path)]) == 1
    printed = capsys.readouterr().err
    assert printed == f"sdgan_lib: {told.value}\n"
    for text in (str(tmp_path / "checkpoints" / ALEXNET), "no route", "where there is a network",
                 "https://download.pytorch.org/models/" + ALEXNET, "--weights DIR"):  # fmt: skip
        assert text in printed

    file = tmp_path / "checkpoints" / ALEXNET
    other = io.BytesIO()
    torch.save({"other": torch.ones(1)}, other)
    for content in (b"", b"no weights", pickle.dumps(Harmful(), 2), other.getvalue()):
        file.write_bytes(content)
        with pytest.raises(UserError, match=rf"{ALEXNET}: damaged, or not the weights of https.*anew"):
            Perceptual(tmp_path)
    assert "run" not in capsys.readouterr().out  # nothing in the pickle was
