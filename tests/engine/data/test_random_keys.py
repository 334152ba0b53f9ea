import numpy as np
import torch

from torchdeck.engine.data.random_keys import combine, epoch_order, sample_keys

SAMPLES = torch.arange(40_000)


def chi_square(counts: np.ndarray) -> float:
    """Distance from a uniform distribution in standard deviations of the statistic."""
    expected = counts.sum() / len(counts)
    degrees = len(counts) - 1
    return float((((counts - expected) ** 2 / expected).sum() - degrees) / np.sqrt(2 * degrees))


def test_integers_are_uniform_for_every_slot() -> None:
    for slot in range(6):
        drawn = sample_keys(7, 3, SAMPLES).integers(slot, 81)
        assert drawn.min() == 0 and drawn.max() == 80
        assert chi_square(np.bincount(drawn.numpy(), minlength=81)) < 4


def test_every_bit_of_a_word_is_as_often_set_as_not_and_none_follows_from_its_neighbor() -> None:
    words = sample_keys(7, 3, SAMPLES[:4000]).words(1, 16)
    for other in (words.roll(1, 0), words.roll(1, 1), sample_keys(7, 3, SAMPLES[:4000]).words(2, 16)):
        same = torch.stack([((words ^ other) >> bit) & 1 for bit in range(32)]).double().mean((1, 2))
        assert (same - 0.5).abs().max() < 4.5 * 0.5 / words.numel() ** 0.5
    for shift in (0, 8, 16, 24):
        assert chi_square(np.bincount(((words >> shift) & 0xFF).flatten().numpy(), minlength=256)) < 4


def test_two_slots_of_a_sample_are_independent() -> None:
    keys = sample_keys(1, 0, SAMPLES)
    pairs = keys.integers(0, 9) * 9 + keys.integers(1, 9)
    assert chi_square(np.bincount(pairs.numpy(), minlength=81)) < 4


def test_seeds_epochs_and_neighbors_are_independent() -> None:
    def drawn(seed: int, epoch: int, shift: int = 0) -> torch.Tensor:
        return sample_keys(seed, epoch, SAMPLES + shift).integers(0, 9)

    for other in (drawn(0, 1), drawn(1, 0), drawn(0, 0, shift=1), drawn(2**62, 0)):
        pairs = drawn(0, 0) * 9 + other
        assert chi_square(np.bincount(pairs.numpy(), minlength=81)) < 4


def test_a_sample_has_the_same_numbers_in_any_order_and_company() -> None:
    shuffled = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    alone = torch.cat([sample_keys(5, 2, shuffled[k : k + 1]).integers(4, 1000) for k in range(50)])
    assert torch.equal(sample_keys(5, 2, torch.arange(1000)).integers(4, 1000)[shuffled[:50]], alone)


def test_probabilities_are_met_and_exact_at_both_ends() -> None:
    keys = sample_keys(3, 1, SAMPLES)
    assert not keys.happens(0, 0.0).any()
    assert keys.happens(0, 1.0).all()
    for probability in (0.1, 0.5, 0.9):
        share = keys.happens(2, probability).double().mean().item()
        assert abs(share - probability) < 4 * (probability * (1 - probability) / len(SAMPLES)) ** 0.5


def test_numbers_never_change_between_versions() -> None:
    """A run resumes after an update of torchdeck only if its random numbers stay the same."""
    assert combine(42, 7) == 16071713289188541753
    assert sample_keys(42, 7, torch.arange(6)).integers(3, 1000).tolist() == [649, 199, 383, 764, 469, 12]
    words = [[2094477559, 1988589982, 860179140, -921019294]]
    assert sample_keys(42, 7, torch.arange(1)).words(2, 4).tolist() == words
    assert epoch_order(42, 7, 8).tolist() == [7, 1, 5, 4, 0, 3, 6, 2]


def test_an_order_is_a_permutation_of_its_seed_and_epoch() -> None:
    order = epoch_order(1, 2, 500)
    assert torch.equal(order.sort().values, torch.arange(500))
    assert torch.equal(order, epoch_order(1, 2, 500))
    assert not torch.equal(order, epoch_order(1, 3, 500))
    assert not torch.equal(order, epoch_order(2, 2, 500))


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    epoch_order(0, 0, 100)
    sample_keys(0, 0, torch.arange(10)).integers(0, 5)
    assert torch.equal(before, torch.get_rng_state())
