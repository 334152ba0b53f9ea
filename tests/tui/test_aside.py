import os

import pytest

from engine.errors import ConfigError
from tui.aside import Aside, AsideError


async def test_a_function_runs_in_another_process() -> None:
    aside = Aside()
    try:
        pid = await aside.call("os:getpid")
        assert pid == aside.pid != os.getpid()
    finally:
        await aside.close()


async def test_an_error_of_ours_comes_back_as_itself() -> None:
    aside = Aside()
    try:
        with pytest.raises(ConfigError, match="no such preset"):
            await aside.call("engine.config_file:load_config", "nonesuch")
    finally:
        await aside.close()


async def test_a_process_that_dies_is_told_and_the_next_call_gets_a_new_one() -> None:
    aside = Aside()
    try:
        with pytest.raises(AsideError, match="exit status 7"):
            await aside.call("os:_exit", 7)
        assert await aside.call("os:getpid") == aside.pid
    finally:
        await aside.close()


async def test_what_the_function_prints_does_not_disturb_the_answers(capfd: pytest.CaptureFixture[str]) -> None:
    aside = Aside()
    try:
        assert await aside.call("builtins:print", "hello from aside") is None
        assert await aside.call("builtins:len", [1, 2]) == 2
    finally:
        await aside.close()
    assert "hello from aside" in capfd.readouterr().err
