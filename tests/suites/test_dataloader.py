"""Loading data: the same batches for any number of workers, and no worker that outlives its epoch."""

import gc
import multiprocessing
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from torchduet.bench.timing.callables import assemble
from torchduet.bench.timing.meter import Context
from torchduet.suites import dataloader
from torchduet.suites.dataloader import suite
from torchduet.suites.datasets import loading
from torchduet.suites.extras import install
from torchduet.suites.workload import Unavailable

CPU = torch.device("cpu")
FILES = Path("/proc/self/fd")


@pytest.fixture(autouse=True)
def _no_worker_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def run(name: str, implementation: str, workers: int, **size: Any) -> tuple[torch.Tensor, dict[str, list[float]]]:
    """A workload's result and what its call noted."""
    torch.manual_seed(0)
    workload = suite.workloads[name]
    inputs = workload.inputs(CPU, **size)
    context = Context(workers=workers)
    context.next_placement()
    result = assemble(workload.implementations[implementation].function, "fp32", "cpu", context)(*inputs)
    return result, context.meter.placements[0]


@pytest.mark.parametrize("batch", [32, 300])
def test_every_number_of_workers_loads_the_same_batches(batch: int) -> None:
    expected, _ = run("epoch_tensors", "epoch_tensors", 0, samples=300, batch=batch)
    assert expected.shape == (-(-300 // batch), 2)
    for workers in (1, 3):
        result, _ = run("epoch_tensors", "epoch_tensors", workers, samples=300, batch=batch)
        assert torch.equal(result, expected)


def test_the_batches_come_in_another_order_with_another_seed() -> None:
    first, second = (loading.Orders(100, seed) for seed in (1, 2))
    assert sorted(first) == list(range(100))
    assert list(first) != list(second)
    assert list(loading.Orders(100, 1)) != list(first)  # its third epoch


@pytest.mark.parametrize(
    ("workers", "batches", "phases"),
    [
        (0, 10, ["first batch", "steady", "samples per second", "end of the workers"]),
        (2, 10, ["first batch", "prefetch window", "steady", "samples per second", "end of the workers"]),
        (2, 3, ["first batch", "prefetch window", "end of the workers"]),
        (2, 1, ["first batch", "end of the workers"]),
    ],
)
def test_start_up_is_told_from_steady_state(workers: int, batches: int, phases: list[str]) -> None:
    _, noted = run("epoch_tensors", "epoch_tensors", workers, samples=10 * batches, batch=10)
    assert list(noted) == phases
    assert all(len(values) == 1 for values in noted.values())


def test_images_are_decoded_and_normalised_the_same_way_in_workers() -> None:
    pytest.importorskip("PIL")
    files, labels = loading.encoded_images(20)
    pixels, label = loading.EncodedImages(files, labels)[13]
    assert pixels.shape == (1, 28, 28)
    assert pixels.dtype == torch.float32
    assert -0.5 <= pixels.min() < pixels.max() <= 2.9
    assert label == 3
    for name in suite.workloads["options"].implementations.keys() - {"pin_memory"}:
        result, noted = run("options", name, 0, batch=32)
        assert torch.equal(result, run("options", "default", 0, batch=32)[0])
        assert len(noted["epoch"]) == dataloader.OPTIONS_EPOCHS


def test_without_pillow_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(Unavailable, match=re.escape(install("data"))):
        suite.workloads["epoch_images"].inputs(CPU, samples=10, batch=5)


class Broken(torch.utils.data.Dataset[torch.Tensor]):
    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> torch.Tensor:
        if index >= 20:
            raise ValueError("broken")
        return torch.ones(3)


@pytest.mark.parametrize("persistent", [False, True])
@pytest.mark.parametrize("who", ["dataset", "consumer", "nobody"])
def test_workers_end_at_once_whoever_stops_and_without_garbage_collection(persistent: bool, who: str) -> None:
    loader = torch.utils.data.DataLoader(Broken(), 4, num_workers=2, persistent_workers=persistent)
    kept = None
    gc.disable()
    try:
        with closing(loading.epochs(loader)) as epochs:
            for number, _ in enumerate(next(epochs)):
                assert len(multiprocessing.active_children()) == 2
                if who == "consumer" and number == 2:
                    raise KeyError("consumer")
                if who == "nobody" and number == 2:
                    break
    except (ValueError, KeyError) as error:
        kept = error  # with its traceback, which refers to the iterator
    finally:
        gc.enable()
    assert multiprocessing.active_children() == []
    assert (kept is None) == (who == "nobody")


@pytest.mark.skipif(not FILES.exists(), reason="counts open files in /proc")
def test_epochs_leave_no_file_open_while_no_garbage_is_collected() -> None:
    loader = loading.shuffled(loading.dataset(*loading.images_in_memory(40)), 10, 0, num_workers=2)
    gc.disable()
    try:
        with closing(loading.epochs(loader)) as epochs:
            list(next(epochs))
            before = len(list(FILES.iterdir()))
            for _ in range(10):
                assert len(list(next(epochs))) == 4
            # One that leaks leaves at least one an epoch; a few of the last epoch's may be about to close.
            assert len(list(FILES.iterdir())) < before + 10
    finally:
        gc.enable()
