"""Batches of both lanes: right, the same whatever was asked for before, and the same however they are made."""

import os
import random
import signal
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from data_cases import CPU, component, needs_fashion_mnist, no_progress, open_and_build, run_config, write_images
from PIL import Image
from torch import Tensor

from engine.data.datasets.sources import open_sources
from engine.data.datasets.splits import ArrayDataset
from engine.data.loading.loaders import BatchLoader, data_fingerprint, evaluation_loader, sample_shape
from engine.data.loading.resident import ResidentLoader
from engine.data.loading.workers import WorkerLoader
from engine.errors import ConfigError, DataError, UserCodeError

AUGMENTED = [
    component("RandomCrop", size=8, padding=1),
    component("RandomHorizontalFlip"),
    component("Normalize", mean=[0.3], std=[0.4]),
]
JITTERED = [component("RandomRotation", degrees=20, expand=True), component("Resize", size=[8, 8])]
STEPPED = [
    component("RandomCrop", size=8, padding=1),
    component("RandomResizedCrop", size=8),
    component("RandomAffine", degrees=20, interpolation="bilinear"),
    component("ColorJitter", brightness=0.5, contrast=0.5),
    component("TrivialAugmentWide"),
    component("GaussianBlur", kernel_size=3),
    component("Normalize", mean=[0.3], std=[0.4]),
    component("RandomErasing", p=0.8),
]

Batches = list[tuple[Tensor, Tensor]]


def digits(seed: int = 0, loader: dict[str, Any] | None = None, **data: Any) -> BatchLoader:
    config = run_config(seed=seed, loader=loader, dataset="digits", validation=0.2, **data)
    return open_and_build(config)[1].train


def same(one: Batches, other: Batches) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b) and torch.equal(c, d) for (a, c), (b, d) in zip(one, other, strict=True)
    )


def stacked(batches: Batches) -> tuple[Tensor, Tensor]:
    return torch.cat([inputs for inputs, _ in batches]), torch.cat([targets for _, targets in batches])


PIPELINES = [([], ResidentLoader), (AUGMENTED, ResidentLoader), (STEPPED, ResidentLoader), (JITTERED, WorkerLoader)]


@pytest.mark.parametrize(("transforms", "lane"), PIPELINES)
def test_a_batch_is_what_the_protocol_says(transforms: list[Any], lane: type) -> None:
    loader = digits(train_transforms=transforms)
    assert isinstance(loader, lane)
    assert (loader.num_samples, loader.batch_size, loader.num_batches) == (1438, 64, 23)
    batches = list(loader.batches(0))
    assert [len(targets) for _, targets in batches] == [64] * 22 + [30]
    for inputs, targets in batches:
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert inputs.shape == (len(targets), 1, 8, 8)
        assert inputs.is_contiguous()


@pytest.mark.parametrize(("transforms", "lane"), PIPELINES)
def test_starting_anywhere_gives_the_same_batches_as_running_through(transforms: list[Any], lane: type) -> None:
    loader = digits(train_transforms=transforms)
    through = list(loader.batches(3))
    for start in (0, 1, 7, 22, 23):
        assert same(list(loader.batches(3, start)), through[start:])
    assert same(list(digits(train_transforms=transforms).batches(3, 5)), through[5:])


@pytest.mark.parametrize(("transforms", "lane"), PIPELINES)
def test_batch_size_changes_no_bit_of_a_sample(transforms: list[Any], lane: type) -> None:
    expected = stacked(list(digits(train_transforms=transforms).batches(1)))
    for batch_size in (1, 33, 500, 5000):
        loader = digits(train_transforms=transforms, loader={"batch_size": batch_size})
        inputs, targets = stacked(list(loader.batches(1)))
        assert torch.equal(inputs, expected[0]) and torch.equal(targets, expected[1])


@pytest.mark.parametrize(("transforms", "lane"), PIPELINES)
def test_epochs_and_seeds_differ(transforms: list[Any], lane: type) -> None:
    first = stacked(list(digits(train_transforms=transforms).batches(0)))
    next_epoch = stacked(list(digits(train_transforms=transforms).batches(1)))
    assert not torch.equal(first[1], next_epoch[1])
    assert torch.equal(first[1].sort().values, next_epoch[1].sort().values)
    other_seed = stacked(list(digits(train_transforms=transforms, loader={"shuffle": False}).batches(1)))
    assert not torch.equal(other_seed[0], next_epoch[0])


@pytest.mark.parametrize(("transforms", "lane"), PIPELINES)
def test_making_batches_moves_no_global_generator(transforms: list[Any], lane: type) -> None:
    def states() -> list[Any]:
        return [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]

    loader = digits(train_transforms=transforms)
    before = states()
    for _ in islice(loader.batches(0), 3):
        assert states() == before
    assert states() == before


def test_drop_last_leaves_out_the_rest() -> None:
    for transforms in ([], JITTERED):
        loader = digits(train_transforms=transforms, loader={"drop_last": True})
        assert loader.num_batches == 22
        assert [len(targets) for _, targets in loader.batches(0)] == [64] * 22


def test_an_epoch_without_a_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"loader.drop_last = true: no batch is left.*1438 samples"):
        digits(loader={"drop_last": True, "batch_size": 2000})


def test_without_shuffle_samples_come_in_order() -> None:
    config = run_config(dataset="digits", validation=0.2, loader={"shuffle": False})
    sources, data = open_and_build(config)
    assert np.array_equal(stacked(list(data.train.batches(4)))[1].numpy(), sources.train.targets)


def test_each_sample_keeps_its_label() -> None:
    for storage in ("memory", "loader"):
        config = run_config(dataset="digits", validation=0.2, storage=storage)
        sources, data = open_and_build(config)
        assert isinstance(sources.train.dataset, ArrayDataset)
        labels = {
            image.tobytes(): int(target)
            for image, target in zip(sources.train.dataset.images, sources.train.dataset.targets, strict=True)
        }
        for inputs, targets in data.train.batches(0):
            pixels = (inputs * 255).round().to(torch.uint8).numpy()
            assert [labels[image.tobytes()] for image in pixels] == targets.tolist()


def test_both_lanes_give_the_same_pixels_without_randomness() -> None:
    eval_transforms = [component("Pad", padding=2), component("Resize", size=[9, 7])]
    lanes = [
        stacked(list(digits(storage=storage, train_transforms=eval_transforms, loader={"shuffle": False}).batches(0)))
        for storage in ("memory", "loader")
    ]
    assert torch.equal(lanes[0][0], lanes[1][0])


def test_validation_is_sequential_and_takes_the_eval_transforms() -> None:
    config = run_config(dataset="digits", validation=0.2, train_transforms=AUGMENTED, loader={"eval_batch_size": 100})
    sources, data = open_and_build(config)
    inputs, targets = stacked(list(data.validation.batches(0)))
    assert np.array_equal(targets.numpy(), sources.validation.targets)
    assert (inputs.min().item(), inputs.max().item()) == (0.0, 1.0)
    assert data.validation.batch_size == 100
    assert same(list(data.validation.batches(0)), list(data.validation.batches(5)))
    again = evaluation_loader(sources.validation, config, CPU, no_progress)
    assert same(list(again.batches(0)), list(data.validation.batches(0)))


def test_the_slow_lane_is_taken_with_a_reason() -> None:
    config = run_config(dataset="digits", validation=0.2, train_transforms=JITTERED)
    data = open_and_build(config)[1]
    assert data.notes == ["RandomRotation with expand has no batched form: samples go through a DataLoader"]
    assert data.storage == "DataLoader; validation: 23 kB in memory"


def test_a_storage_that_can_not_be_had_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r'data.storage = "memory": RandomRotation with expand has no batched form; use "auto"'
    ):
        digits(train_transforms=JITTERED, storage="memory")


def test_transforms_that_do_not_fit_are_refused_before_training() -> None:
    with pytest.raises(ConfigError, match=r"data.train_transforms\[0\]: RandomCrop\(size=20\) can't be applied"):
        digits(train_transforms=[component("RandomCrop", size=20)])
    with pytest.raises(ConfigError, match=r"data.eval_transforms\[0\]: Normalize.*mean has 3 values"):
        digits(eval_transforms=[component("Normalize", mean=[0.5] * 3, std=[0.5] * 3)])


def test_shapes_after_the_transforms_are_reported() -> None:
    config = run_config(
        dataset="digits",
        validation=0.2,
        train_transforms=[component("RandomCrop", size=6)],
        eval_transforms=[component("Grayscale", num_output_channels=3)],
    )
    sources, data = open_and_build(config)
    assert data.input_shape == sample_shape(sources, config) == (3, 8, 8)
    assert data.notes == ["after their transforms, training samples are 1×6×6 and validation samples 3×8×8"]
    assert data.fingerprint == data_fingerprint(sources, config)


@needs_fashion_mnist
def test_plain_fashion_mnist_equals_the_bare_tensor() -> None:
    config = run_config(dataset="FashionMNIST", loader={"shuffle": False, "batch_size": 1000})
    sources, data = open_and_build(config)
    assert isinstance(sources.train.dataset, ArrayDataset)
    images = torch.from_numpy(sources.train.dataset.images.copy())[:, None]
    for number, (inputs, _) in enumerate(islice(data.train.batches(0), 5)):
        assert torch.equal(inputs, images[number * 1000 :][:1000].float().div_(255))


@pytest.fixture(scope="module")
def with_two() -> BatchLoader:
    return digits(train_transforms=JITTERED, loader={"num_workers": 2, "batch_size": 300})


@pytest.fixture(scope="module")
def without() -> BatchLoader:
    return digits(train_transforms=JITTERED, loader={"num_workers": 0, "batch_size": 300})


class TestWorkerProcesses:
    def test_they_change_no_bit(self, with_two: BatchLoader, without: BatchLoader) -> None:
        assert same(list(with_two.batches(2)), list(without.batches(2)))

    def test_an_epoch_given_up_half_way_leaves_nothing_behind(
        self, with_two: BatchLoader, without: BatchLoader
    ) -> None:
        for _ in islice(with_two.batches(0), 2):
            pass
        assert same(list(with_two.batches(1, 3)), list(without.batches(1, 3)))

    def test_they_leave_the_global_generator_alone(self, with_two: BatchLoader) -> None:
        before = torch.get_rng_state()
        list(with_two.batches(0))
        assert torch.equal(before, torch.get_rng_state())

    def test_they_outlive_ctrl_c_and_a_hang_up(self, with_two: BatchLoader, without: BatchLoader) -> None:
        list(with_two.batches(0))
        for pid in worker_pids(with_two):
            for number in (signal.SIGINT, signal.SIGHUP):
                os.kill(pid, number)
        assert same(list(with_two.batches(1)), list(without.batches(1)))

    def test_a_killed_one_is_noticed_with_advice(self) -> None:
        loader = digits(train_transforms=JITTERED, loader={"num_workers": 1, "batch_size": 16})
        batches = loader.batches(0)
        next(batches)
        pid = worker_pids(loader)[0]
        os.kill(pid, signal.SIGKILL)
        named = rf"died: worker 0 \(process {pid}\) was killed by SIGKILL. .*loader.num_workers = 0"
        with pytest.raises(DataError, match=named):
            list(batches)

    def test_one_that_is_killed_at_work_is_noticed_from_a_thread_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "slow.py").write_text(STANDS_STILL)
        options = {"num_workers": 2, "batch_size": 2, "shuffle": False}
        config = run_config(dataset=f"{tmp_path}/slow.py:make", storage="loader", loader=options)
        loader = open_and_build(config)[1].train
        batches = loader.batches(0)
        next(batches)
        pids, noticed = worker_pids(loader), []

        def wait() -> None:
            try:
                next(batches)
            except DataError as error:
                noticed.append((time.monotonic(), str(error)))

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.5)
        killed = time.monotonic()
        os.kill(pids[1], signal.SIGKILL)
        thread.join()
        ((when, message),) = noticed
        # Looked after four times a second; 5 seconds is what torch takes by itself.
        assert when - killed < 4
        assert f"worker 1 (process {pids[1]}) was killed by SIGKILL" in message

    def test_prints_go_where_the_engine_s_own_go_now(self, tmp_path: Path) -> None:
        (tmp_path / "talks.py").write_text(TALKS)
        kept = os.dup(1)
        try:
            for number in range(2):
                log = os.open(tmp_path / f"{number}.log", os.O_CREAT | os.O_WRONLY)
                os.dup2(log, 1)
                os.close(log)
                options = {"num_workers": 1, "persistent_workers": False}
                config = run_config(dataset=f"{tmp_path}/talks.py:make", storage="loader", loader=options)
                list(open_and_build(config)[1].train.batches(0))
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        assert [(tmp_path / f"{number}.log").read_text().count("read in a worker") for number in range(2)] == [4, 4]


STANDS_STILL = """
import time
import torch

class Slow:
    targets = [0, 1] * 10

    def __len__(self):
        return 20

    def __getitem__(self, index):
        if index >= 2 and torch.utils.data.get_worker_info():
            time.sleep(60)
        return torch.zeros(3, 4, 4, dtype=torch.uint8), index % 2

def make():
    return {"train": Slow(), "test": Slow()}
"""

TALKS = """
import torch

class Talks:
    targets = [0, 1, 0, 1]

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if torch.utils.data.get_worker_info():
            print("read in a worker", flush=True)
        return torch.zeros(3, 4, 4, dtype=torch.uint8), index % 2

def make():
    return {"train": Talks(), "test": Talks()}
"""


def worker_pids(loader: BatchLoader) -> list[int]:
    assert isinstance(loader, WorkerLoader) and loader._loader is not None
    return [worker.pid for worker in loader._loader._iterator._workers]


USER_FILE = """
import numpy as np

class Noise:
    classes = ["a", "b"]
    targets = [0, 1] * 20
    def __init__(self, bad=-1, dtype="uint8", random=False):
        self.bad, self.dtype, self.random = bad, dtype, random
    def __len__(self):
        return 40
    def __getitem__(self, index):
        if index == self.bad:
            raise ValueError("no such picture")
        generator = np.random.default_rng(None if self.random else index)
        return generator.integers(0, 256, (6, 6, 3)).astype(self.dtype), self.targets[index]
"""


@pytest.fixture
def user_file(tmp_path: Path) -> str:
    (tmp_path / "noise.py").write_text(USER_FILE)
    return f"{tmp_path / 'noise.py'}:Noise"


def user_loader(user_file: str, *, num_workers: int = 0, storage: str = "auto", **arguments: Any) -> Any:
    config = run_config(
        dataset=user_file,
        validation=0.2,
        storage=storage,
        arguments=arguments,
        loader={"num_workers": num_workers, "batch_size": 8},
    )
    return open_and_build(config)[1]


def test_a_users_data_set_is_decoded_once(user_file: str) -> None:
    data = user_loader(user_file)
    assert isinstance(data.train, ResidentLoader)
    assert same(list(data.train.batches(0)), list(user_loader(user_file, storage="loader").train.batches(0)))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"random": True}, "the data set gives another image when asked twice for the same sample"),
        ({"dtype": "float32"}, "samples are float32 and not uint8"),
    ],
)
def test_a_users_data_set_that_can_not_be_resident_says_why(
    user_file: str, arguments: dict[str, Any], reason: str
) -> None:
    data = user_loader(user_file, **arguments)
    assert isinstance(data.train, WorkerLoader)
    assert f"{reason}: samples go through a DataLoader" in data.notes


@pytest.mark.parametrize(("storage", "num_workers"), [("auto", 0), ("loader", 0), ("loader", 1)])
def test_a_failing_sample_is_named_with_the_users_line(user_file: str, storage: str, num_workers: int) -> None:
    with pytest.raises(UserCodeError) as error:
        data = user_loader(user_file, bad=27, storage=storage, num_workers=num_workers)
        for loader in (data.train, data.validation):
            list(loader.batches(0))
    assert "sample 27 of the" in str(error.value)
    assert "ValueError: no such picture" in str(error.value)
    assert "noise.py" in str(error.value)
    assert "torch/utils" not in str(error.value)


def test_a_data_set_that_does_not_pickle_says_so(tmp_path: Path) -> None:
    (tmp_path / "local.py").write_text(USER_FILE + "\ndef make():\n    class Local(Noise): pass\n    return Local()\n")
    config = run_config(
        dataset=f"{tmp_path}/local.py:make", validation=0.2, storage="loader", loader={"num_workers": 1}
    )
    data = open_and_build(config)[1]
    with pytest.raises(ConfigError, match=r"loader.num_workers = 1: .* can't be sent to worker processes"):
        list(data.train.batches(0))


def folder_config(root: Path, *transforms: Any, **data: Any) -> Any:
    return run_config(
        dataset=str(root),
        validation=0.25,
        train_transforms=list(transforms),
        eval_transforms=list(transforms),
        loader={"batch_size": 4},
        **data,
    )


def test_a_folder_of_one_size_is_resident(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 8)
    data = open_and_build(folder_config(tmp_path))[1]
    assert isinstance(data.train, ResidentLoader)
    assert data.input_shape == (3, 10, 12)


def test_a_folder_of_mixed_sizes_is_decoded_once_after_resize_and_crop(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 4, size=(12, 10))
    write_images(tmp_path / "b", 4, size=(20, 31), seed=1)
    transforms = [
        component("Resize", size=9),
        component("CenterCrop", size=8),
        component("RandomHorizontalFlip", p=0.0),
    ]
    resident = open_and_build(folder_config(tmp_path, *transforms))[1]
    assert isinstance(resident.train, ResidentLoader)
    one_by_one = open_and_build(folder_config(tmp_path, *transforms, storage="loader"))[1]
    assert same(list(resident.train.batches(0)), list(one_by_one.train.batches(0)))


def test_mixed_sizes_without_a_resize_say_which_transform_to_add(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 4, size=(12, 10))
    write_images(tmp_path / "b", 4, size=(20, 31), seed=1)
    data = open_and_build(folder_config(tmp_path))[1]
    assert "images differ in size: samples go through a DataLoader" in data.notes
    with pytest.raises(DataError, match=r"images differ in shape: .*3×\d+×\d+.*CenterCrop.*data.train_transforms"):
        list(data.train.batches(0))


@pytest.mark.parametrize("storage", ["auto", "loader"])
@pytest.mark.parametrize("damage", ["truncated", "text"])
def test_a_damaged_image_is_named(tmp_path: Path, storage: str, damage: str) -> None:
    write_images(tmp_path / "a", 8, size=(64, 64), suffix="jpg")
    bad = tmp_path / "a" / "5.jpg"
    bad.write_bytes(bad.read_bytes()[:600] if damage == "truncated" else b"not an image")
    with pytest.raises(DataError, match=r"a/5\.jpg: can't be decoded"):
        data = open_and_build(folder_config(tmp_path, storage=storage))[1]
        for loader in (data.train, data.validation):
            list(loader.batches(0))


def test_grey_folders_have_one_channel_and_mixed_ones_three(tmp_path: Path) -> None:
    write_images(tmp_path / "grey" / "a", 4, mode="L")
    write_images(tmp_path / "mixed" / "a", 4, mode="RGBA")
    Image.new("P", (12, 10)).save(tmp_path / "mixed" / "a" / "palette.png")
    for name, channels in (("grey", 1), ("mixed", 3)):
        config = folder_config(tmp_path / name)
        assert sample_shape(open_sources(config.data, 0), config)[0] == channels


def test_decoding_reports_its_progress(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 8)
    config = folder_config(tmp_path)
    seen: list[tuple[str, int, int]] = []
    from engine.data.loading.loaders import build_loaders

    build_loaders(
        open_sources(config.data, 0), config, CPU, lambda message, done, total: seen.append((message, done, total))
    )
    assert ("decoding train", 6, 6) in seen and ("decoding validation", 2, 2) in seen


def test_no_worker_process_is_left_when_a_loader_is_gone() -> None:
    loader = digits(train_transforms=JITTERED, loader={"num_workers": 1, "batch_size": 500})
    list(loader.batches(0))
    processes = [psutil.Process(pid) for pid in worker_pids(loader)]
    del loader
    assert psutil.wait_procs(processes, timeout=10)[1] == []
