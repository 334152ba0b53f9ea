"""Snapshots: true copies, in memory that is used again only when nobody reads it."""

import torch
from torch import nn

from torchdeck.engine.training.snapshot import SnapshotBuffers

CPU = torch.device("cpu")


def test_shared_weights_are_copied_once() -> None:
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    tied[1].weight = tied[0].weight
    copy = SnapshotBuffers(CPU).snapshot().copied(tied.state_dict())
    assert copy["0.weight"] is copy["1.weight"]
    assert copy["0.weight"].data_ptr() != tied[0].weight.data_ptr()


def test_every_kind_of_tensor_is_copied_with_its_values_and_strides() -> None:
    tensors = {
        "plain": torch.arange(6.0).reshape(2, 3),
        "channels last": torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "transposed": torch.arange(6).reshape(2, 3).t(),
        "a slice": torch.arange(20.0).reshape(4, 5)[:, 1:3],
        "expanded": torch.ones(1, 4).expand(3, 4),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(7),
        "bfloat16": torch.rand(3).bfloat16(),
        "sparse": torch.eye(3).to_sparse(),
    }
    copies = SnapshotBuffers(CPU).snapshot().copied({"nested": [tensors, 3, "text"]})["nested"][0]
    for name, tensor in tensors.items():
        assert torch.equal(copies[name].to_dense(), tensor.to_dense()), name
        assert copies[name].dtype is tensor.dtype
    assert copies["channels last"].is_contiguous(memory_format=torch.channels_last)


def test_memory_is_used_again_after_it_is_released_and_not_before() -> None:
    buffers, weight = SnapshotBuffers(CPU), torch.zeros(100)
    first, second = buffers.snapshot(), buffers.snapshot()
    in_first = first.copied(weight)
    in_second = second.copied(weight.fill_(1.0))
    assert (in_first.sum(), in_second.sum()) == (0.0, 100.0)
    first.release()
    first.release()
    third, fourth = buffers.snapshot(), buffers.snapshot()
    in_third, in_fourth = third.copied(weight.fill_(2.0)), fourth.copied(weight)
    assert in_third.data_ptr() == in_first.data_ptr()
    assert in_fourth.data_ptr() not in (in_third.data_ptr(), in_second.data_ptr())
    assert in_second.sum() == 100.0
