"""Kitty's graphics protocol with Unicode placeholders.

An image is sent once and gets a virtual placement of some columns and rows. Where a cell holds the placeholder
character, the terminal draws the part of the image that the cell names: combining characters give row and column, the
foreground color gives the image's number. So a picture is text: it scrolls, is clipped and is covered like text.

https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders
"""

from __future__ import annotations

import base64
import itertools
import os
from collections.abc import Iterable, Iterator
from functools import cache

from rich.color import Color, ColorSystem

PLACEHOLDER = "\U0010eeee"
# The n-th combining character stands for row or column n: gen/rowcolumn-diacritics.txt in kitty's sources.
_CODES = (
    "305 30D 30E 310 312 33D 33E 33F 346 34A 34B 34C 350 351 352 357 35B 363 364 365 366 367 368 369 36A 36B 36C "
    "36D 36E 36F 483 484 485 486 487 592 593 594 595 597 598 599 59C 59D 59E 59F 5A0 5A1 5A8 5A9 5AB 5AC 5AF 5C4 "
    "610 611 612 613 614 615 616 617 657 658 659 65A 65B 65D 65E 6D6 6D7 6D8 6D9 6DA 6DB 6DC 6DF 6E0 6E1 6E2 6E4 "
    "6E7 6E8 6EB 6EC 730 732 733 735 736 73A 73D 73F 740 741 743 745 747 749 74A 7EB 7EC 7ED 7EE 7EF 7F0 7F1 7F3 "
    "816 817 818 819 81B 81C 81D 81E 81F 820 821 822 823 825 826 827 829 82A 82B 82C 82D 951 953 954 F82 F83 F86 "
    "F87 135D 135E 135F 17DD 193A 1A17 1A75 1A76 1A77 1A78 1A79 1A7A 1A7B 1A7C 1B6B 1B6D 1B6E 1B6F 1B70 1B71 1B72 "
    "1B73 1CD0 1CD1 1CD2 1CDA 1CDB 1CE0 1DC0 1DC1 1DC3 1DC4 1DC5 1DC6 1DC7 1DC8 1DC9 1DCB 1DCC 1DD1 1DD2 1DD3 "
    "1DD4 1DD5 1DD6 1DD7 1DD8 1DD9 1DDA 1DDB 1DDC 1DDD 1DDE 1DDF 1DE0 1DE1 1DE2 1DE3 1DE4 1DE5 1DE6 1DFE 20D0 "
    "20D1 20D4 20D5 20D6 20D7 20DB 20DC 20E1 20E7 20E9 20F0 2CEF 2CF0 2CF1 2DE0 2DE1 2DE2 2DE3 2DE4 2DE5 2DE6 "
    "2DE7 2DE8 2DE9 2DEA 2DEB 2DEC 2DED 2DEE 2DEF 2DF0 2DF1 2DF2 2DF3 2DF4 2DF5 2DF6 2DF7 2DF8 2DF9 2DFA 2DFB "
    "2DFC 2DFD 2DFE 2DFF A66F A67C A67D A6F0 A6F1 A8E0 A8E1 A8E2 A8E3 A8E4 A8E5 A8E6 A8E7 A8E8 A8E9 A8EA A8EB "
    "A8EC A8ED A8EE A8EF A8F0 A8F1 AAB0 AAB2 AAB3 AAB7 AAB8 AABE AABF AAC1 FE20 FE21 FE22 FE23 FE24 FE25 FE26 "
    "10A0F 10A38 1D185 1D186 1D187 1D188 1D189 1D1AA 1D1AB 1D1AC 1D1AD 1D242 1D243 1D244 "
)
DIACRITICS = "".join(chr(int(code, 16)) for code in _CODES.split())
_CHUNK = 4096
_PLACEMENT = 1
_END = "\x1b\\"


def transmit(image: int, png: bytes, columns: int, rows: int) -> str:
    """The sequences that send an image and place it virtually, in chunks of at most 4096 characters; ask no reply."""
    data = base64.standard_b64encode(png).decode("ascii")
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    first = f"a=T,U=1,q=2,f=100,t=d,i={image},p={_PLACEMENT},c={columns},r={rows},"
    return "".join(
        _command(f"{first if not number else 'q=2,'}m={int(number < len(chunks) - 1)}", chunk)
        for number, chunk in enumerate(chunks)
    )


def place(image: int, columns: int, rows: int) -> str:
    """The sequence that resizes an image that was sent, in cells."""
    return _command(f"a=p,U=1,q=2,i={image},p={_PLACEMENT},c={columns},r={rows}")


def delete(images: Iterable[int]) -> str:
    """The sequence that deletes images from the terminal's memory."""
    return "".join(_command(f"a=d,d=I,q=2,i={image}") for image in images)


def through_tmux(sequences: str) -> str:
    """Wrap a sequence for the terminal outside tmux; tmux passes it on if its `allow-passthrough` is on."""
    commands = sequences.split(_END)[:-1]
    return "".join("\x1bPtmux;" + (command + _END).replace("\x1b", "\x1b\x1b") + _END for command in commands)


def placeholders(image: int, row: int, columns: int) -> str:
    """The cells of one row of an image. Each names its full position, so any part of a row may be drawn alone."""
    high = DIACRITICS[image >> 24] if image >> 24 else ""
    return "".join(PLACEHOLDER + DIACRITICS[row] + DIACRITICS[column] + high for column in range(columns))


def color_of(image: int, *, truecolor: bool) -> Color:
    """The foreground color that encodes an image's number: its lower 24 bits, or its lower 8 bits in 256 colors."""
    if truecolor:
        return Color.from_rgb(image >> 16 & 255, image >> 8 & 255, image & 255)
    return _palette()[image & 255]


def numbers(*, truecolor: bool) -> Iterator[int]:
    """Yield image numbers: thousands before one repeats, starting elsewhere in each process."""
    palette = [*_palette()]
    for number in itertools.count(os.getpid() * 257):
        if truecolor:
            yield number % 0xFFFFFF + 1
        else:
            high, low = divmod(number, len(palette))
            yield palette[low] | (1 + high % 255) << 24


def _command(keys: str, data: str = "") -> str:
    return f"\x1b_G{keys};{data}{_END}" if data else f"\x1b_G{keys}{_END}"


@cache
def _palette() -> dict[int, Color]:
    """The colors of the 256-color palette that Rich sends by number."""
    levels = (0, 95, 135, 175, 215, 255)
    colors = {}
    for number, (red, green, blue) in enumerate(itertools.product(levels, repeat=3), start=16):
        color = Color.from_rgb(red, green, blue)
        if color.downgrade(ColorSystem.EIGHT_BIT).number == number:
            colors[number] = color
    return colors
