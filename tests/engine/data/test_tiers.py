import numpy as np
import pytest
import torch
from data_cases import CPU, component, no_progress

from torchdeck.engine.config import DataConfig
from torchdeck.engine.data.batched.batch_plan import BatchPlan, plan_batches
from torchdeck.engine.data.datasets.splits import ArrayDataset, Split
from torchdeck.engine.data.loading.in_memory_loader import transform_images
from torchdeck.engine.data.loading.storage import DecodedSplit, Room, measure_room
from torchdeck.engine.data.loading.tiers import choose_tier
from torchdeck.engine.errors import ConfigError

GPU = torch.device("cuda", 0)
IMAGES = np.random.default_rng(0).integers(0, 256, (100, 10, 10, 3), dtype=np.uint8)
SPLIT = Split(ArrayDataset(IMAGES, np.arange(100) % 5), None, np.arange(100) % 5, "train")
SIZE = IMAGES.nbytes


@pytest.mark.parametrize(
    ("device", "room", "tier"),
    [
        (GPU, Room(SIZE, SIZE), "device"),
        (GPU, Room(SIZE - 1, SIZE), "memory"),
        (GPU, Room(SIZE - 1, SIZE - 1), "loader"),
        (CPU, Room(0, SIZE), "memory"),
        (CPU, Room(0, SIZE - 1), "loader"),
    ],
)
def test_the_nearest_tier_with_room_is_taken(device: torch.device, room: Room, tier: str) -> None:
    chosen = choose_tier(SPLIT, DataConfig(), train=True, device=device, room=room)
    assert chosen.name == tier
    taken = (room.device + room.memory) - (chosen.left.device + chosen.left.memory)
    assert taken == (0 if tier == "loader" else SIZE)


def test_padded_and_mirrored_copies_are_counted() -> None:
    config = DataConfig(
        train_transforms=[component("RandomCrop", size=10, padding=2), component("RandomHorizontalFlip")]
    )
    needed = SIZE + 2 * 100 * 3 * 14 * 14
    for room, tier in ((Room(0, needed), "memory"), (Room(0, needed - 1), "loader")):
        assert choose_tier(SPLIT, config, train=True, device=CPU, room=room).name == tier


def test_too_little_room_is_said_in_numbers() -> None:
    chosen = choose_tier(SPLIT, DataConfig(), train=True, device=CPU, room=Room(0, 20_000))
    assert chosen.notes == [
        "the train split needs 30 kB decoded, and 20 kB of memory may be used: samples go through a DataLoader"
    ]
    with pytest.raises(ConfigError, match=r'"device": the train split needs 30 kB, and 1 kB of cuda:0'):
        choose_tier(SPLIT, DataConfig(storage="device"), train=True, device=GPU, room=Room(1000, SIZE))


def test_room_is_a_share_of_what_is_free() -> None:
    room = measure_room(CPU)
    assert room.device == 0
    assert room.memory > 0


@pytest.mark.parametrize("indices", [None, np.array([5, 3, 99])])
def test_an_array_is_stored_by_channel_in_the_splits_order(indices: np.ndarray | None) -> None:
    chosen = np.arange(100) if indices is None else indices
    split = Split(SPLIT.dataset, indices, (np.arange(100) % 5)[chosen], "train")
    store = DecodedSplit(split).decode(no_progress)
    assert store.images.is_contiguous()
    assert np.array_equal(store.images.permute(0, 2, 3, 1).numpy(), IMAGES[chosen])
    assert store.targets.tolist() == (chosen % 5).tolist()


def test_baked_transforms_give_what_they_give_one_by_one() -> None:
    plan = plan_batches([component("Resize", size=[7, 6]), component("Grayscale")])
    assert isinstance(plan, BatchPlan)
    decoded = DecodedSplit(SPLIT, plan.baked)
    images = decoded.decode(no_progress).images
    assert images.shape == (100, 1, 7, 6)
    assert torch.equal(images[17], decoded.image(17))


def test_large_images_are_done_one_by_one_with_the_same_draws() -> None:
    """What a sample becomes doesn't depend on how many of a batch are done at a time."""
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 3, 100, 104), dtype=np.uint8))
    specs = [
        component("RandomHorizontalFlip"),
        component("ColorJitter", brightness=0.4, contrast=0.3, hue=0.1),
        component("RandAugment"),
        component("Normalize", mean=[0.5] * 3, std=[0.2] * 3),
        component("RandomErasing"),
    ]
    plan = plan_batches(specs)
    assert isinstance(plan, BatchPlan)
    whole = transform_images(images, plan, 0, 1, torch.arange(5))
    for position in range(5):
        alone = transform_images(images[position : position + 1], plan, 0, 1, torch.tensor([position]))
        assert torch.equal(whole[position], alone[0])
