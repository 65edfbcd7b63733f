"""results.py: what was measured comes back from its file, and a file that is none is told."""

import math

import pytest
import torch
from safetensors.torch import save

from sdgan_lib.errors import UserError
from sdgan_lib.evaluation import Evaluation, OfSet
from sdgan_lib.results import read_notes, read_results, write_results


@pytest.fixture
def result() -> Evaluation:
    """Two seeds of a system and a reference on four pairs of two people; no joints are known of the reference."""
    draw = torch.Generator().manual_seed(0)

    def values(known: bool) -> dict[str, torch.Tensor]:
        found = {
            name: torch.rand(4, generator=draw, dtype=torch.float32).double() for name in ("fg_ssim", "pck")
        }
        return found if known else found | {"pck": torch.full((4,), math.nan, dtype=torch.float64)}

    answers = {"b@0": values(True), "b@1": values(True), "a_reference": values(False)}
    sets = {name: {"kd_movenet": OfSet(0.5, torch.tensor([0.25, 0.75]).double())} for name in answers}
    same = torch.tensor([True, False, True, False])
    return Evaluation(answers, same, ("0251", "0251", "0300", "0300"), {"same_camera": sets, "all": sets})


def test_what_was_measured_comes_back(tmp_path, result):
    write_results(tmp_path / "r.safetensors", result, {"key": "k"})
    found = read_results(tmp_path / "r.safetensors")
    assert list(found.values) == list(result.values) and found.identities == result.identities
    assert found.same_camera.equal(result.same_camera) and found.same_camera.dtype == torch.bool
    for name, values in result.values.items():
        assert list(found.values[name]) == list(values)
        for metric, value in values.items():
            torch.testing.assert_close(found.values[name][metric], value, rtol=0, atol=0, equal_nan=True)
    assert found.means() == result.means()
    assert str(found.table()) == str(result.table())  # seeds, spread, intervals; NaN is written alike
    assert str(found.difference("b", "a_reference")) == str(result.difference("b", "a_reference"))
    assert read_notes(tmp_path / "r.safetensors")["key"] == "k"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        (b"no", "damaged, or not a safetensors file"),
        (save({"weight": torch.zeros(2)}), "holds no results"),
    ],
)
def test_another_file_is_told(tmp_path, content, told):
    path = tmp_path / "r.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told) as caught:
        read_results(path)
    assert str(path) in str(caught.value)
