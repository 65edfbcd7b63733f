"""PyTorch's threads spin only briefly, wherever the library or a notebook runs, unless the user has chosen."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from figures import standing
from jupyter_client.manager import start_new_kernel

from sdgan_lib._threads import SPIN_COUNT

ROOT = Path(__file__).parents[1]
CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
OWN = {"GOMP_SPINCOUNT": "300000"}  # libgomp's, where nothing is set

# A picture of the shipped generator's kind, by two threads that are kept on one core: what happens by chance beside
# busy neighbours. Processor time, which other processes do not change, counts the spinning.
PICTURE = """
import json, os, sys, time
import sdgan_lib
import torch
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
torch.set_num_threads(2)
from sdgan_lib.generators import make_generator
from sdgan_lib.inference import render_png
from sdgan_lib.presets import PRESETS
torch.manual_seed(0)
generator = make_generator(PRESETS["sdgan"].generator).eval()
image, pose = torch.zeros(3, 128, 64), torch.tensor(json.loads(sys.argv[1]))
def picture():
    start = time.process_time()
    png = render_png(generator, image, pose, pose + 3)
    return time.process_time() - start, png.hex()
picture()
print(json.dumps(picture()))
"""


def environment(**chosen: str) -> dict[str, str]:
    """This process's, without what it says about threads, and with what is chosen."""
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {k: v for k, v in os.environ.items() if k not in CHOICES} | {"PYTHONPATH": paths} | chosen


def run(code: str, *arguments: str, **chosen: str):
    """What a fresh Python reports on its last line."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(**chosen), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be kept on a core here")
def test_threads_that_wait_for_each_other_on_one_core_waste_little():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("with one core the threads do not spin")
    pose = json.dumps(standing(1, (128, 64))[0].tolist())
    ours, png = run(PICTURE, pose)
    own, same = run(PICTURE, pose, **OWN)
    assert own > 4 * ours, f"{ours:.3f} s of processor time a picture, PyTorch's own setting {own:.3f} s"
    assert png == same  # the setting changes no result


SEEN = """
import json, os
import sdgan_lib
print(json.dumps({name: os.environ.get(name) for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")}))
"""


@pytest.mark.parametrize(
    ("chosen", "spins"),
    [
        ({}, str(SPIN_COUNT)),
        ({"OMP_NUM_THREADS": "1"}, str(SPIN_COUNT)),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
        ({"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "infinity"}, "infinity"),
    ],
    ids=str,
)
def test_what_the_user_has_chosen_stays(chosen, spins):
    assert run(SEEN, **chosen) == dict.fromkeys(CHOICES) | chosen | {"GOMP_SPINCOUNT": spins}


def test_it_is_set_before_torch_is_loaded_by_the_command_line():
    code = """
import json, os, runpy, sys
class Watch:
    def find_spec(self, name, *_):
        if name == "torch":
            print(json.dumps(os.environ.get("GOMP_SPINCOUNT")), flush=True)
            os._exit(0)
sys.meta_path.insert(0, Watch())
sys.argv = ["sdgan_lib", "doctor"]
runpy.run_module("sdgan_lib", run_name="__main__", alter_sys=True)
"""
    assert run(code) == str(SPIN_COUNT)


@pytest.mark.parametrize("chosen", [{}, {"GOMP_SPINCOUNT": "7"}], ids=str)
def test_a_notebooks_kernel_has_it_before_the_first_cell(chosen):
    manager, client = start_new_kernel(
        kernel_name="python3", env=environment(**chosen), cwd=str(ROOT / "notebooks")
    )
    try:
        seen: list[str] = []
        client.execute_interactive(
            "import os, sys; print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))",
            timeout=60,
            output_hook=lambda message: seen.append(message["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    expected = chosen.get("GOMP_SPINCOUNT", str(SPIN_COUNT))
    assert "".join(seen).split() == ["False", expected], (
        "is the library's kernel configuration installed? make does it"
    )
