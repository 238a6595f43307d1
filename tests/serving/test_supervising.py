import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from glyphseek.errors import SettingError
from glyphseek.serving.supervising import Command, Supervisor

pytestmark = pytest.mark.timeout(60)
SLEEP = "import time; print('up', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(child.pid, flush=True); time.sleep(60)"
)


def _command(name: str, code: str) -> Command:
    return Command(name=name, arguments=(sys.executable, "-c", code), environment=dict(os.environ))


def _wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not until():
        assert time.monotonic() < end
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_all_are_started_log_to_their_files_and_end_with_the_block(tmp_path: Path) -> None:
    with Supervisor([_command("one", SLEEP), _command("two", SLEEP)], logs=tmp_path / "logs") as supervisor:
        pids = supervisor.pids()
        assert list(pids) == ["one", "two"]
        _wait(lambda: all((tmp_path / "logs" / f"{name}.log").read_text() == "up\n" for name in pids))
    assert not any(_is_alive(pid) for pid in pids.values())
    assert supervisor.pids() == {}


def test_one_that_is_killed_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    with Supervisor([_command("one", SLEEP), _command("two", SLEEP)], logs=tmp_path) as supervisor:
        before = supervisor.pids()
        os.kill(before["one"], signal.SIGKILL)
        _wait(lambda: "one" not in supervisor.pids())
        supervisor.look()
        _wait(lambda: "one" in supervisor.pids())
        after = supervisor.pids()
        assert after["one"] != before["one"]
        assert after["two"] == before["two"]


def test_one_that_ends_again_and_again_waits_longer_between_its_starts(tmp_path: Path) -> None:
    now = 0.0
    log = tmp_path / "one.log"
    with Supervisor([_command("one", "print('up')")], logs=tmp_path, clock=lambda: now) as supervisor:
        moments: list[float] = []
        for starts in range(2, 6):
            while log.read_text().count("up") < starts:
                _wait(lambda: not supervisor.pids())
                supervisor.look()
                if supervisor.pids():
                    moments.append(now)
                    expected = starts
                    _wait(lambda expected=expected: log.read_text().count("up") >= expected)
                else:
                    now += 0.25
        supervisor.stop()
    assert moments == [0.0, 0.5, 1.5, 3.5]


def test_one_that_cannot_run_as_told_is_named_with_what_it_said(tmp_path: Path) -> None:
    code = "import sys; print('error: port 7 is taken'); sys.exit(2)"
    with Supervisor([_command("matcher", code)], logs=tmp_path) as supervisor:
        _wait(lambda: not supervisor.pids())
        with pytest.raises(SettingError, match="matcher ended with 2: error: port 7 is taken"):
            supervisor.look()


def test_while_everything_starts_any_end_is_an_error(tmp_path: Path) -> None:
    with Supervisor([_command("one", "pass")], logs=tmp_path) as supervisor:
        _wait(lambda: not supervisor.pids())
        with pytest.raises(SettingError, match="one ended with 0: it said nothing"):
            supervisor.look(is_starting=True)


def test_one_that_does_not_want_to_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    with Supervisor([_command("one", STUBBORN)], logs=tmp_path, grace_s=0.2) as supervisor:
        pids = list(supervisor.pids().values())
        _wait(lambda: log.exists() and log.read_text().endswith("\n"))
        pids.append(int(log.read_text()))
        assert all(_is_alive(pid) for pid in pids)
    _wait(lambda: not any(_is_alive(pid) for pid in pids))


def test_environments_are_not_shown() -> None:
    assert "secret" not in repr(Command(name="one", arguments=("x",), environment={"KEY": "secret"}))
