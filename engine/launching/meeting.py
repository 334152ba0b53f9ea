"""Where the machines of a run meet: an address and a port of one of them, where torchrun's agents find each other."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil

from ..errors import ConfigError


@dataclass(frozen=True)
class Meeting:
    """A meeting place of machines.

    Attributes:
        host: name or address of the machine that keeps it.
        port: its port.
    """

    host: str
    port: int

    @classmethod
    def at(cls, text: str) -> Meeting:
        """The place in a text such as "gpu01:29500". Raises ConfigError."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            raise ConfigError(f"--join {text}: write the first machine and a free port of it, such as gpu01:29500")
        return cls(host, int(port))

    @property
    def text(self) -> str:
        """As on the command line."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def is_here(self) -> bool:
        """Whether this machine has the address. Raises ConfigError where the name has none.

        torchrun finds that out by the machine's own name, which need not be an address of it at all.
        """
        family, address = self._address()
        try:
            with socket.socket(family) as listener:
                listener.bind((address, 0))
        except OSError:
            return False
        return True

    def own_address(self) -> str:
        """The address of this machine on the way to the meeting place. Raises ConfigError."""
        family, address = self._address()
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as way:
                # Sends nothing: the kernel chooses the way.
                way.connect((address, self.port))
                return str(way.getsockname()[0])
        except OSError as error:
            raise ConfigError(f"--join {self.text}: there is no way to it: {error.strerror or error}") from error

    def interface(self) -> str:
        """The name of the network interface on that way; empty if it is not known. Raises ConfigError."""
        own = self.own_address()
        for name, addresses in psutil.net_if_addrs().items():
            if any(entry.address.partition("%")[0] == own for entry in addresses):
                return name
        return ""

    def _address(self) -> tuple[socket.AddressFamily, str]:
        try:
            family, _, _, _, place = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        except OSError as error:
            raise ConfigError(f"--join {self.text}: {self.host} has no address: {error.strerror or error}") from error
        return family, str(place[0])
