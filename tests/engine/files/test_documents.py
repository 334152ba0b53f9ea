"""JSON and TOML that was built to do harm is refused with a reason, and what people write is read."""

from __future__ import annotations

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
