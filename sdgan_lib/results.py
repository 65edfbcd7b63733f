"""What was measured of pictures, pair by pair, as a file: an :class:`~sdgan_lib.evaluation.Evaluation` that lasts.

Pictures are made and looked at once; means, intervals and differences are then a matter of a second, here or wherever
the file is sent. ``data/studies/four_systems.safetensors`` is such a file.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from sdgan_lib.errors import Problem, UserError
from sdgan_lib.evaluation import Evaluation, OfSet
from sdgan_lib.files import explain, refuse_device, write_whole


def write_results(path: str | Path, result: Evaluation, notes: Mapping[str, str] | None = None) -> None:
    """Write what was measured as safetensors, in float32; the names of answers must be without ``/``.

    Args:
        path: file to write; one that is there is replaced once the new one is whole.
        notes: texts to keep beside it, see :func:`read_notes`.
    """
    tensors = {"same_camera": result.same_camera}
    for answer, values in result.values.items():
        tensors |= {f"values/{answer}/{metric}": value.float() for metric, value in values.items()}
    for group, answers in result.sets.items():
        for answer, values in answers.items():
            for metric, found in values.items():
                value = torch.tensor([found.value])
                tensors[f"sets/{group}/{answer}/{metric}"] = torch.cat([value, found.redrawn.float()])
    told = {"names": json.dumps(list(tensors)), "identities": json.dumps(result.identities)}
    write_whole(path, save(tensors, {**(notes or {}), **told}))


def read_results(path: str | Path) -> Evaluation:
    """What :func:`write_results` wrote.

    Raises:
        UserError: naming the file, when it is missing, damaged, or no such file.
    """
    with _opened(path) as file:
        tensors, notes = {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    try:
        result = Evaluation({}, tensors["same_camera"], tuple(json.loads(notes["identities"])))
        for name in json.loads(notes["names"]):  # in the order in which they were written
            kind, *place = name.split("/")
            if kind == "values":
                answer, metric = place
                result.values.setdefault(answer, {})[metric] = tensors[name].double()
            elif kind == "sets":
                group, answer, metric = place
                value, redrawn = tensors[name][0].item(), tensors[name][1:].double()
                result.sets.setdefault(group, {}).setdefault(answer, {})[metric] = OfSet(value, redrawn)
    except (KeyError, ValueError, IndexError) as error:
        raise _refused(path, f"holds no results ({error!r})") from error
    return result


def read_notes(path: str | Path) -> dict[str, str]:
    """The texts that were written beside the results.

    Raises:
        UserError: as :func:`read_results`.
    """
    with _opened(path) as file:
        return file.metadata() or {}


@contextmanager
def _opened(path: str | Path) -> Iterator[safe_open]:
    path = Path(path)
    refuse_device(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except OSError as error:
        raise UserError(explain(error, path)) from error
    except SafetensorError as error:
        raise _refused(path, f"damaged, or not a safetensors file ({error})") from error


def _refused(path: str | Path, message: str) -> UserError:
    return UserError(Problem(Path(path), message, "get it anew, or write it by `python -m sdgan_lib study`"))
