import asyncio
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


async def test_an_abandoned_call_does_not_cost_the_process_and_its_answer_is_not_taken_for_the_next_ones() -> None:
    aside = Aside()
    try:
        pid = await aside.call("os:getpid")
        abandoned = asyncio.create_task(aside.call("time:sleep", 0.3))
        await asyncio.sleep(0.1)
        abandoned.cancel()
        assert await aside.call("builtins:len", [1, 2, 3]) == 3
        assert aside.pid == pid
    finally:
        await aside.close()


async def test_an_abandoned_call_that_hangs_ends_its_process_and_the_next_call_gets_a_new_one() -> None:
    aside = Aside()
    try:
        pid = await aside.call("os:getpid")
        abandoned = asyncio.create_task(aside.call("time:sleep", 600))
        await asyncio.sleep(0.1)
        abandoned.cancel()
        assert await aside.call("os:getpid") != pid
    finally:
        await aside.close()


async def test_any_other_exception_comes_back_with_its_type() -> None:
    aside = Aside()
    try:
        with pytest.raises(AsideError, match="ZeroDivisionError"):
            await aside.call("operator:truediv", 1, 0)
        with pytest.raises(AsideError, match="no_such_function"):
            await aside.call("os:no_such_function")
    finally:
        await aside.close()
