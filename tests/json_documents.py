"""Documents that the verbs print, held against their schemas in docs/json."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).parents[1] / "docs" / "json"


@cache
def validator(name: str) -> Draft202012Validator:
    """The validator of one schema.

    In the tests an object has no keys besides those that its schema names: a key that is printed and not described is
    an error.
    """
    schema = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(_closed(schema))


def check_document(name: str, document: Any, command: str = "") -> None:
    """Fail with every place where a document, of a command line, is not as its schema says."""
    found = [f"{error.json_path}: {error.message[:300]}" for error in _leaves(validator(name).iter_errors(document))]
    assert not found, f"{name}: {command}\n" + "\n".join(found)


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(part) for key, part in schema.items()}
    if "properties" in schema and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed


def _leaves(errors: Any) -> Any:
    """Errors, and of one in several kinds those of each kind."""
    for error in errors:
        yield error
        yield from _leaves(error.context or ())
