"""Random numbers that are a pure function of (seed, epoch, sample, slot): no state, no order, no batch size.

Counter-based, with the finalizer of splitmix64. Only wrapping 64-bit integer arithmetic is used, so the numbers are
the same on every device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..randomness import GOLDEN, MULTIPLIER_1, MULTIPLIER_2, WORD, mix

_MULTIPLIER_32_1 = 0x7FEB352D
_MULTIPLIER_32_2 = 0x846CA68B - (1 << 32)


def combine(*coordinates: int) -> int:
    """One 64-bit key of several integers, such as (seed, epoch)."""
    key = 0
    for position, coordinate in enumerate(coordinates, start=1):
        key = mix(key ^ mix((coordinate * GOLDEN + position) & (WORD - 1)))
    return key


@dataclass(frozen=True)
class SampleKeys:
    """Keys of some samples in one epoch.

    Attributes:
        base: int64 [n], one key a sample.
    """

    base: Tensor

    def integers(self, slot: int, bound: int) -> Tensor:
        """Uniform integers, int64 [n], from 0 to `bound` - 1 (`bound` at most 2^31), of the draw numbered `slot`.

        Multiply-shift of 31 random bits: no value is favored by more than `bound` / 2^31.
        """
        return (_shift_right(self._bits(slot), 33) * bound) >> 31

    def happens(self, slot: int, probability: float) -> Tensor:
        """Whether an event of this probability happens, bool [n]; exact to 2^-32, and exactly at 0 and 1."""
        return _shift_right(self._bits(slot), 32) < round(probability * (1 << 32))

    def uniforms(self, slot: int, count: int) -> Tensor:
        """`count` independent numbers per sample, uniform in [0, 1) with 53 random bits, float64 [n, count]."""
        draws = torch.arange(1, count + 1, device=self.base.device) * _signed(GOLDEN)
        return _shift_right(_mix(self._bits(slot)[:, None] + draws), 11).double() * 2.0**-53

    def uniform(self, slot: int, low: float, high: float) -> Tensor:
        """Uniform numbers between `low` and `high`, float64 [n]."""
        return low + (high - low) * self.uniforms(slot, 1)[:, 0]

    def stream(self, slot: int) -> SampleKeys:
        """Keys of the same samples for draws of their own, whose slots count from 0 again."""
        return SampleKeys(_mix(self._bits(slot) ^ _signed(MULTIPLIER_1)))

    def words(self, slot: int, count: int) -> Tensor:
        """`count` words of 32 random bits per sample, int32 [n, count]: for draws of many numbers per sample.

        A 32-bit finalizer (Wellons, Prospecting for Hash Functions, 2018: lowbias32) of the word's number; one half of
        the sample's key goes in before it, and the other half in its middle. Arithmetic in 32 bits takes a
        fraction of the time that 64 bits do.
        """
        bits = self._bits(slot)[:, None]
        words = torch.arange(count, dtype=torch.int32, device=bits.device) ^ bits.to(torch.int32)
        words ^= (words >> 16) & 0xFFFF
        words *= _MULTIPLIER_32_1
        words ^= (words >> 15) & 0x1FFFF
        words += (bits >> 32).to(torch.int32)
        words *= _MULTIPLIER_32_2
        words ^= (words >> 16) & 0xFFFF
        return words

    def generators(self, slot: int) -> Iterator[torch.Generator]:
        """For each sample a generator on the CPU that is its own: for draws of many numbers per sample."""
        generator = torch.Generator()
        for key in self._bits(slot).tolist():
            yield generator.manual_seed(key)

    def of(self, part: slice) -> SampleKeys:
        """The keys of some of the samples."""
        return SampleKeys(self.base[part])

    def _bits(self, slot: int) -> Tensor:
        return _mix(self.base + _signed((slot + 1) * GOLDEN))


def sample_keys(seed: int, epoch: int, samples: Tensor) -> SampleKeys:
    """Keys of the samples with these indices (int64 [n]) in an epoch."""
    return SampleKeys(_mix(_mix(samples * _signed(GOLDEN) + _signed(combine(seed, epoch)))))


def _mix(value: Tensor) -> Tensor:
    value = (value ^ _shift_right(value, 30)) * _signed(MULTIPLIER_1)
    value = (value ^ _shift_right(value, 27)) * _signed(MULTIPLIER_2)
    return value ^ _shift_right(value, 31)


def _shift_right(value: Tensor, bits: int) -> Tensor:
    """Logical shift: torch's is arithmetic, and the sign bits must not come in."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    """The same 64 bits as a signed integer, which is all that torch takes."""
    value &= WORD - 1
    return value - WORD if value >= WORD // 2 else value


def epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    """A permutation of `count` samples, int64 on the CPU: a function of the seed and the epoch."""
    generator = torch.Generator().manual_seed(combine(seed, epoch, 0x0D3) >> 1)
    return torch.randperm(count, generator=generator)
