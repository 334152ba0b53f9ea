"""Rules for what of a model is frozen, as a user changes them part by part."""

from __future__ import annotations

from collections.abc import Sequence


def with_rule(rules: Sequence[str], path: str, *, is_frozen: bool) -> list[str]:
    """Add a rule that freezes or unfreezes a module, in place of the rules for it and for modules below it.

    Args:
        rules: the current rules.
        path: path of the module; "*" for all modules.
        is_frozen: whether to freeze it; otherwise it trains.
    """
    kept = [
        rule
        for rule in rules
        if path != "*" and (name := rule.removeprefix("!")) != path and not name.startswith(f"{path}.")
    ]
    if is_frozen:
        return [*kept, path]
    # If a rule froze the module and no other rule freezes it, it trains again without a rule.
    needs_rule = not rules or any(not rule.startswith("!") for rule in kept)
    return [*kept, f"!{path}"] if needs_rule else kept
