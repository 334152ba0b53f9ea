"""What `torchdeck doctor` says of several processes: torchrun, the machine's address, the ways between GPUs."""

import socket

import pytest

from torchdeck.engine.bench.interconnect import address_finding, examine_processes, links_finding
from torchdeck.engine.launching import launched_ranks


def test_the_installed_torch_starts_processes() -> None:
    processes = examine_processes()[0]
    assert (processes.subject, processes.verdict, processes.found) == ("processes", "ok", "torchrun, gloo")


def test_a_torchrun_without_an_option_that_is_needed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "torchdeck.engine.bench.interconnect.TORCHRUN_OPTIONS", (*launched_ranks.TORCHRUN_OPTIONS, "--new-option")
    )
    processes = examine_processes()[0]
    assert processes.verdict == "limited" and processes.found.endswith("lacks --new-option")


def test_a_host_name_of_this_machine_is_fine() -> None:
    assert address_finding("localhost").verdict == "ok"


def test_a_host_name_without_an_address_and_one_of_another_machine_are_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = address_finding("no-such-host.invalid")
    assert unknown.verdict == "limited" and "GLOO_SOCKET_IFNAME" in unknown.advice
    # An address for documentation, RFC 5737: no machine has it.
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer)
    foreign = address_finding("gpu01")
    assert foreign.verdict == "limited"
    assert foreign.found.startswith("gpu01 is 192.0.2.1, which is no address of this machine")


def test_gpus_with_and_without_nvlink_and_those_that_can_not_reach_each_other() -> None:
    assert links_finding(4, [], [12, 12, 12, 12]).found == "4 GPUs read each other's memory, NVLink with 12 lanes each"
    assert links_finding(2, [], [0, 0]).found == "2 GPUs read each other's memory, no NVLink: over PCIe"
    assert links_finding(2, [], []).found == "2 GPUs read each other's memory"
    apart = links_finding(4, [(0, 2), (1, 3)], [])
    assert apart.verdict == "limited"
    assert apart.found == "2 pairs of 4 GPUs can't read each other's memory: 0-2, 1-3"
