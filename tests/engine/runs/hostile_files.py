"""Files built to run code, hang or fill the memory, and the script that opens them with its limits lowered."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

LEGACY_HEADER = (
    pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    + pickle.dumps(1001, 2)
    + pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
)

# Prints a JSON object: file name to outcome. Every file has 20 seconds of CPU time.
OPENER = """
import json, resource, signal, sys
from pathlib import Path
mode, limit, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
if mode == "load":
    import torch
from torchdeck.engine.errors import CheckpointError
from torchdeck.engine.runs.saving.checkpoint import load_checkpoint
from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint, report_json
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
class Hung(BaseException):
    pass
def give_up(number, frame):
    raise Hung
signal.signal(signal.SIGPROF, give_up)
outcomes = {}
for path in sorted(folder.iterdir()):
    signal.setitimer(signal.ITIMER_PROF, 20)
    try:
        if mode == "load":
            load_checkpoint(path)
            outcomes[path.name] = "loaded"
        else:
            json.dumps(report_json(inspect_checkpoint(path)))
            outcomes[path.name] = "listed"
    except CheckpointError as error:
        outcomes[path.name] = f"refused: {error}"
    except BaseException as error:
        outcomes[path.name] = f"crashed: {type(error).__name__}: {error}"
    signal.setitimer(signal.ITIMER_PROF, 0)
print(json.dumps(outcomes))
"""


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = function, arguments

    def __reduce__(self) -> Any:
        return self._reduced


def zipped(pickled: bytes, storages: dict[str, bytes] | None = None, **extra: Any) -> Any:
    """A function that writes an archive as torch.save would, around a pickle."""

    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", extra.get("compression", zipfile.ZIP_STORED)) as archive:
            archive.writestr("archive/data.pkl", pickled)
            archive.writestr("archive/byteorder", "little")
            for key, data in (storages or {}).items():
                archive.writestr(f"archive/data/{key}", data)
            archive.writestr("archive/version", "3\n")
            for name, data in extra.get("entries", {}).items():
                archive.writestr(name, data)

    return write


def integer(value: int) -> bytes:
    length = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True)


def tensor_pickle(
    count: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int = 0,
    function: str = "_rebuild_tensor_v2",
    storage: str = "FloatStorage",
    legacy: bool = False,
) -> bytes:
    """The pickle of {"w": tensor}, with any numbers."""

    def sizes(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(map(integer, values)) + b"t"

    return (
        b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n" + function.encode()
        + b"\n((X\x07\x00\x00\x00storagectorch\n" + storage.encode()
        + b"\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + integer(count) + (b"N" if legacy else b"") + b"tQ"
        + integer(offset) + sizes(shape) + sizes(strides) + b"\x89ccollections\nOrderedDict\n)RtRs."
    )  # fmt: skip


def nested_tuple_key(depth: int) -> bytes:
    """A dict whose key takes 2**depth steps to hash."""
    pairs = b"".join(b"q%c" % (1 + level) + b"h%c\x86" % (1 + level) for level in range(depth))
    return b"\x80\x02}q\x00()" + pairs + b"K\x01u."


def nested_long_keys(depth: int) -> bytes:
    """Dicts in dicts, whose dotted names are far longer than the file."""
    key = b"X" + struct.pack("<I", 2000) + b"k" * 2000
    return b"\x80\x02" + (b"}" + key) * depth + b"N" + b"s" * depth + b"."


def memo_calls(prologue: bytes, count: int) -> bytes:
    """A list of results of one call, three bytes each: memo 0 is the function, memo 1 its arguments.

    `prologue` leaves nothing on the stack.
    """
    return b"\x80\x02" + prologue + b"](" + b"h\x00h\x01R" * count + b"e."


def text(length: int) -> bytes:
    return b"X" + struct.pack("<I", length) + b"k" * length


def shared_pairs(depth: int) -> bytes:
    """A tuple of 2**depth leaves, of two references a level; left on the stack, memos from 10 on."""
    return b")" + b"".join(b"q%c0h%ch%c\x86" % ((10 + level,) * 3) for level in range(depth))


def expanded_tensors(count: int, length: int) -> Callable[[Path], None]:
    """Many tensors that repeat one number, as `torch.zeros(1).expand(length)` is saved."""

    def entry(number: int) -> bytes:
        name = f"layer{number}.weight".encode()
        tensor = tensor_pickle(4, (length,), (0,))[3:-2]
        return tensor.replace(b"X\x01\x00\x00\x00w", b"X" + struct.pack("<I", len(name)) + name, 1)

    return zipped(b"\x80\x02}(" + b"".join(map(entry, range(count))) + b"u.", {"0": bytes(16)})


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> Any:
    def write(path: Path) -> None:
        path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)

    return write


def content(data: bytes) -> Any:
    return lambda path: path.write_bytes(data)


def overlapping(path: Path) -> None:
    """Two directory entries for the same bytes."""
    zipped(tensor_pickle(4, (4,), (1,)), {"0": bytes(16), "1": bytes(16)})(path)
    with zipfile.ZipFile(path) as archive:
        first, second = (archive.getinfo(f"archive/data/{key}").header_offset for key in "01")
    data = path.read_bytes()
    path.write_bytes(
        data.replace(struct.pack("<I", second) + b"archive/data/1", struct.pack("<I", first) + b"archive/data/1")
    )


def hostile_files(folder: Path, canary: Path) -> None:
    """Write them all; the ones that run code would make the file `canary`."""
    command = f"touch {canary}"
    one = {"0": bytes(16)}
    call_system = b"cos\nsystem\n(X" + struct.pack("<I", len(command)) + command.encode() + b"tR"
    entry = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    files = {
        "code_os_system.pt": zipped(pickle.dumps({"state_dict": {}, "x": Call(os.system, command)}, 2)),
        "code_eval.pt": zipped(pickle.dumps(Call(eval, f"__import__('os').system('{command}')"), 2)),
        "code_stack_global.pt": zipped(pickle.dumps({"x": Call(os.system, command)}, 4)),
        "code_open.pt": zipped(pickle.dumps(Call(open, str(canary), "w"), 2)),
        "code_getattr.pt": zipped(pickle.dumps(Call(getattr, Call(builtins.__import__, "os"), "system"), 2)),
        "code_in_key.pt": zipped(b"\x80\x02}" + call_system + b"K\x01s."),
        "code_in_storage.pt": zipped(b"\x80\x02(X\x07\x00\x00\x00storage" + call_system + b"K\x01K\x01K\x01tQ."),
        "code_bare_pickle.pt": content(pickle.dumps(Call(os.system, command), 2)),
        "code_legacy.pt": content(LEGACY_HEADER + b"\x80\x02" + call_system + b"." + pickle.dumps([], 2)),
        "bomb_bytearray.pt": zipped(pickle.dumps({"x": Call(bytearray, 12 << 30)}, 2)),
        "bomb_tensor.pt": zipped(b"\x80\x02ctorch\nTensor\n" + integer(3 << 30) + b"\x85R."),
        "bomb_stride_0.pt": zipped(tensor_pickle(4, (1 << 40,), (0,)), one),
        "bomb_storage.pt": zipped(tensor_pickle(1 << 36, (1 << 36,), (1,)), one),
        "bomb_deflated.pt": zipped(
            tensor_pickle(1 << 24, (1 << 24,), (1,)), {"0": bytes(1 << 26)}, compression=zipfile.ZIP_DEFLATED
        ),
        "bomb_legacy.pt": content(
            LEGACY_HEADER + tensor_pickle(1 << 40, (1 << 40,), (1,), legacy=True)
            + pickle.dumps(["0"], 2) + struct.pack("<q", 1 << 40) + bytes(64)
        ),
        "bomb_lists.pt": zipped(b"\x80\x02" + b"]" * (20 << 20) + b"."),
        "bomb_marks.pt": zipped(b"\x80\x02" + b"(" * (20 << 20) + b"."),
        "bomb_memo.pt": zipped(b"\x80\x02]" + b"\x94" * (20 << 20) + b"."),
        "hang_nested_tuple_key.pt": zipped(nested_tuple_key(60)),
        "hang_colliding_keys.pt": zipped(
            b"\x80\x02}(" + b"".join(integer(k * (2**61 - 1)) + b"N" for k in range(1, 200_000)) + b"u."
        ),
        "hang_deep_lists.pt": zipped(b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b"."),
        "hang_name_growth.pt": zipped(nested_long_keys(90)),
        "hang_colliding_floats.pt": zipped(
            b"\x80\x02}(" + b"".join(b"G" + struct.pack(">d", k * 2.0**61) + b"N" for k in range(1, 200_000)) + b"u."
        ),
        "hang_colliding_set.pt": zipped(
            b"\x80\x02c__builtin__\nset\n]("
            + b"".join(integer(k * (2**61 - 1)) for k in range(1, 100_000)) + b"e\x85R."
        ),
        "hang_colliding_small_keys.pt": zipped(
            b"\x80\x02]("
            + (b"}(" + b"".join(integer(k << 16) + b"N" for k in range(1, 32_000)) + b"u") * 60 + b"e."
        ),
        "hang_shared_pairs_storage.pt": zipped(
            b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n" + shared_pairs(60) + text(3) + b"K\x04tQ."
        ),
        "hang_shared_pairs_legacy.pt": content(
            LEGACY_HEADER + b"\x80\x02}." + b"\x80\x02](" + shared_pairs(60) + b"e."
        ),
        "hang_long_tuple_key.pt": zipped(
            b"\x80\x02" + text(4 << 20) + b"\x85q\x000](" + b"}h\x00Ns" * 20_000 + b"e."
        ),
        "hang_long_key.pt": zipped(b"\x80\x02" + text(4 << 20) + b"q\x000](" + b"}h\x00Ns" * 400_000 + b"e."),
        "bomb_encoded.pt": zipped(
            memo_calls(b"c_codecs\nencode\nq\x000" + text(1 << 20) + text(6) + b"\x86q\x010", 100_000)
        ),
        "bomb_sets.pt": zipped(
            memo_calls(
                b"c__builtin__\nset\nq\x000](" + b"".join(map(integer, range(100_000))) + b"e\x85q\x010", 100_000
            )
        ),
        "bomb_arguments.pt": zipped(memo_calls(b"cmy\nthing\nq\x000(" + b"N" * 100_000 + b"tq\x010", 100_000)),
        "bomb_class_names.pt": zipped(
            b"\x80\x02" + text(4000) + b"q\x000]("
            + b"".join(b"h\x00X\x05\x00\x00\x00%05d\x93" % n for n in range(99_999) for _ in range(3))[: 11 * 290_000]
            + b"e."
        ),
        "bomb_dotted_names.pt": zipped(b"\x80\x02}" + text(900) + b"](" + b"}" + b"}" * 900_000 + b"es."),
        "bomb_expanded.pt": expanded_tensors(2000, 15 << 20),
        "wrong_digits.pt": zipped(tensor_pickle(4, (1 << 2000,) * 60, (0,) * 60), one),
        "hang_no_newline.pt": zipped(b"\x80\x02c" + b"x" * (8 << 20)),
        "wrong_shape.pt": zipped(tensor_pickle(4, (1 << 20,), (1,)), one),
        "wrong_offset.pt": zipped(tensor_pickle(4, (4,), (1,), 1 << 40), one),
        "wrong_negative_offset.pt": zipped(tensor_pickle(4, (4,), (1,), -8), one),
        "wrong_negative_stride.pt": zipped(tensor_pickle(4, (4,), (-1,), 3), one),
        "wrong_storage_class.pt": zipped(tensor_pickle(4, (4,), (1,), storage="QUInt8Storage"), one),
        "wrong_missing_storage.pt": zipped(tensor_pickle(4, (4,), (1,))),
        "wrong_traversal.pt": zipped(tensor_pickle(4, (4,), (1,)), one, entries={"archive/../../x": "x"}),
        "wrong_doubled.pt": zipped(tensor_pickle(4, (4,), (1,)), one, entries={"archive/data.pkl": b"N."}),
        "wrong_overlap.pt": overlapping,
        "wrong_torchscript.pt": zipped(b"\x80\x02}.", entries={"archive/constants.pkl": b"N."}),
        "wrong_exported.pt2": zipped(b"\x80\x02}.", entries={"archive/archive_format": b"pt2"}),
        "wrong_empty.pt": content(b""),
        "wrong_zeros.pt": content(bytes(4096)),
        "wrong_short_pickle.pt": zipped(b"\x80\x02}X\xff\xff\xff\xff"),
        "wrong_no_stop.pt": zipped(b"\x80\x02}"),
        "wrong_no_mark.pt": zipped(b"\x80\x02t."),
        "wrong_setitem_on_list.pt": zipped(b"\x80\x02]K\x01K\x01s."),
        "wrong_safetensors_shape.safetensors": safetensors(
            json.dumps({"w": {**entry, "shape": [1 << 30, 1 << 10]}}).encode(), bytes(16)
        ),
        "wrong_safetensors_overlap.safetensors": safetensors(json.dumps({"a": entry, "b": entry}).encode(), bytes(16)),
        "wrong_safetensors_repeat.safetensors": safetensors(
            f'{{"a":{json.dumps(entry)},"a":{json.dumps(entry)}}}'.encode(), bytes(16)
        ),
        "wrong_safetensors_depth.safetensors": safetensors(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
        "hang_dimensions.safetensors": safetensors(
            json.dumps({"w": {**entry, "shape": [1] * 100_000 + [4]}}).encode(), bytes(16)
        ),
        "hang_lengths.safetensors": safetensors(
            json.dumps({"w": {**entry, "shape": [2**31] * 20_000}}).encode(), bytes(16)
        ),
        "bomb_header.safetensors": safetensors(b'{"a":[' + b"[]," * (30 << 20) + b"[]]}"),
        "bomb_metadata.safetensors": safetensors(b'{"__metadata__":{"a":[' + b"[]," * (18 << 20) + b"[]]}}"),
        **{
            f"wrong_metadata_{number}.safetensors": safetensors(
                b'{"__metadata__":' + metadata + b',"w":' + json.dumps(entry).encode() + b"}", bytes(16)
            )
            for number, metadata in enumerate((b"[1,2]", b"7", b'"text"', b'{"a":1}', b'{"a":{"b":"c"}}', b"true"))
        },
        "wrong_safetensors_length.safetensors": safetensors(b"{}", length=1 << 60),
        "wrong_safetensors_types.safetensors": safetensors(b'{"a":{"dtype":7,"shape":{},"data_offsets":"xy"}}'),
        "good.pt": zipped(tensor_pickle(4, (4,), (1,)), one),
        "good_names.pt": zipped(pickle.dumps({"\x1b]0;pwned\x07[@click=app.quit]weight[/]\n": 1}, 2)),
        "good.safetensors": safetensors(json.dumps({"w": entry}).encode(), bytes(16)),
    }  # fmt: skip
    for name, write in files.items():
        write(folder / name)
    os.mkfifo(folder / "wrong_fifo.pt")
    (folder / "wrong_folder.pt").mkdir()
    (folder / "wrong_dangling.pt").symlink_to(folder / "nowhere")
