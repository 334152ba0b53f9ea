"""JSON and TOML that was built to do harm is refused with a reason, and what people write is read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from torchdeck.engine.files.documents import DocumentError, parse_json, parse_toml


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 900 + "]" * 900, "more than 64 deep"),
        ("[" * 100_000, "more than 64 deep"),
        ('{"a":' * 70 + "1" + "}" * 70, "more than 64 deep"),
        ('{"a":[' * 2_000_000, "more than 2,000,000 lists"),
        ("[" + "[]," * 3_000_000 + "[]]", "more than 2,000,000 lists"),
        ("1" * 100_000, "4300 digits"),
        ('"' * 200_001, "not valid JSON"),
        ('"\\', "not valid JSON"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
    ],
)
def test_a_hostile_json_text_is_refused(text: str, reason: str) -> None:
    for form in (text, text.encode()):
        with pytest.raises(DocumentError, match=reason):
            parse_json(form)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 100_000, "more than 64 deep"),
        ("a = " + "[" * 900 + "]" * 900, "more than 64 deep"),
        ("a = " + "{a=" * 90_000, "more than 64 deep"),
        ("a = " + "1" * 100_000, "4300 digits"),
        ("a" + ".a" * 50_000 + " = 1", "key of more than 32 parts"),
        ("a" + '."a"' * 50_000 + " = 1", "key of more than 32 parts"),
        ("b = 1\n[a" + " . a" * 50_000 + "]\n", r"more than 32 parts \(at about line 2"),
        ("a = {b" + ".c" * 40 + " = 1}", "key of more than 32 parts"),
        ('a = """' + '"\\' * 100_000, "not valid TOML"),
        ("a = " + '"' * 200_001, "not valid TOML"),
        ("a = 1 2", "line 1"),
    ],
)
def test_a_hostile_toml_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse_toml(text)


def test_what_people_write_is_read() -> None:
    assert parse_json("[" * 64 + "]" * 64)
    assert parse_json('{"a":"[[[\\"[[","b":[' + '"{",' * 200 + "1]}")["a"] == '[[["[['
    assert len(parse_json("[" + "[1,2,3]," * 100_000 + "[]]")) == 100_001
    text = 'a = "[[[[\\"" # [[[ "\nb = \'[[\'\nc = """[[ "" ["""\nd = \'\'\'[[ \'\' [\'\'\'\n'
    values = parse_toml(text + "e = [" + "1.5, " * 500 + "]\n[f.g.h]\ni.j = 2\nk = 2026-01-01T00:00:00.5\n")
    assert values["a"] == '[[[["' and values["c"] == '[[ "" [' and values["d"] == "[[ '' ["
    assert len(values["e"]) == 500 and values["f"]["g"]["h"]["i"] == {"j": 2}
    brackets = "#" + "[" * 1000 + "\n" + 'a = "' + "{" * 1000 + '"'
    assert parse_toml(brackets) == {"a": "{" * 1000}


def outcome(read: Callable[[bytes], object], text: bytes) -> str:
    try:
        return repr(read(text))
    except ValueError:
        return "refused"


@pytest.mark.parametrize(
    "value",
    [
        b"2.3025851249694824", b"1e999", b"-1e999", b"0.1e-400", b"-0", b"-0.0", b"1E5", b"NaN", b"-Infinity", b"nan",
        b"1" * 400, b"1" * 5000, b"01", b"1.", b"+1", b"-", b"1e", b"0x1", b"tru", b"null", b"", b"[1,]", b"{1:2}",
        b'{"a":1,"a":2}',
        b'"\\ud800"', b'"\\ud83d\\ude00"', b'"\xff"', b'"a\nb"', b'"\x00"', b'"abc', b"\x0c1", b"[1 2]",
        b"]", b"}", b'"\xe2\x80\xa8"', b'"\\x"', b"[" * 40 + b"]" * 40,
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf", b" \t"], ids=["plain", "BOM", "space"])
def test_a_long_text_is_read_or_refused_as_pythons_own_reader_does(value: bytes, before: bytes) -> None:
    text = before + b'{"many":[' + b"0.125," * 200 + b'1],"x":' + value + b"}"
    assert outcome(parse_json, text) == outcome(json.loads, text)


def test_a_long_line_that_was_changed_anywhere_is_read_or_refused_as_pythons_own_reader_does() -> None:
    chance = random.Random(8)
    values = [chance.uniform(-1, 1) * 10 ** chance.randint(-30, 30) for _ in range(60)]
    line = json.dumps({"kind": "train", "loss": values, "text": "é\n\u2028"}).encode()
    for _ in range(3000):
        at = chance.randrange(len(line))
        changed = line[:at] + bytes([chance.choice(b'0123456789eE+-.,:[]{}" \\\x00\x80\xfftn')]) + line[at + 1 :]
        assert outcome(parse_json, changed) == outcome(json.loads, changed), changed
    assert parse_json(line)["loss"] == values
