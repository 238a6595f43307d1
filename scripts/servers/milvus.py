#!/usr/bin/env python3
"""Install and start a real Milvus standalone from its PyPI wheel: `milvus.py install`, `milvus.py start FOLDER PORT`.

The wheel carries the server itself (etcd, a message queue and local storage inside one process), packed. It is fetched
with pip and unpacked once into a cache outside the repository: $GLYPHSEEK_SERVERS, or ~/.cache/glyphseek/servers.
`start` becomes the server (same process id), listens on 127.0.0.1 only as far as Milvus lets it be told, keeps data and
logs in FOLDER, and answers `http://127.0.0.1:PORT+1/healthz` when it is ready. Standard library only.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "2.3.5"
DEFAULTS = {
    # How often writes become visible. A read that must see every write waits for two of these, 40 ms instead of 400.
    "proxy.timeTickInterval": "20",
    # Vectors that are not indexed yet are compared one by one. As Milvus comes, it puts 5,000 of them or more into an
    # index that looks at an eighth of them, whatever a search asks for: of 10,000 it found 24 % of the nearest.
    "queryNode.segcore.interimIndex.enableIndex": "false",
}
_PORTS = re.compile(r"\{\{\s*(\w+_port)\(int\):\s*\d+\s*\}\}")
_VARIABLE = re.compile(r"\{\{\s*(\w+)(?:\(\w+\))?(?::\s*(.*?))?\s*\}\}")


def main() -> int:
    """Run the command line; return the exit code."""
    match sys.argv[1:]:
        case ["install"]:
            print(install())
        case ["start", folder, port, *settings]:
            start(Path(folder).absolute(), int(port), dict(text.split("=", 1) for text in settings))
        case _:
            print(f"{__doc__}\nsettings: section.name=value of milvus.yaml", file=sys.stderr)
            return 2
    return 0


def home() -> Path:
    """Return the folder that this version is installed in, whether it is or not."""
    root = os.environ.get("GLYPHSEEK_SERVERS") or Path.home() / ".cache" / "glyphseek" / "servers"
    return Path(root) / f"milvus-{VERSION}"


def install() -> Path:
    """Fetch and unpack the server unless it is there; return its executable."""
    executable = home() / "bin" / "milvus"
    if executable.exists():
        return executable
    home().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home().parent) as scratch:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", f"{scratch}/wheel"]
        subprocess.run([*pip, f"milvus=={VERSION}"], check=True, stdout=sys.stderr)
        data = Path(scratch, "wheel", "milvus", "data")
        unpacked = Path(scratch, "unpacked")
        (unpacked / "bin").mkdir(parents=True)
        for packed in sorted((data / "bin").glob("*.lzma")):
            with lzma.open(packed) as source, open(unpacked / "bin" / packed.stem, "wb") as target:
                shutil.copyfileobj(source, target)
            (unpacked / "bin" / packed.stem).chmod(0o755)
        for name in ("config.yaml.template", "glog.conf"):
            shutil.copy(data / name, unpacked / name)
        unpacked.rename(home())
    return executable


def start(folder: Path, port: int, settings: dict[str, str]) -> None:
    """Become the server. Ports: `port` for gRPC, `port + 1` for health and metrics, the next 12 for its parts."""
    executable = install()
    for name in ("configs", "logs", "data"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(home() / "glog.conf", folder / "configs")
    (folder / "configs" / "milvus.yaml").write_text(_configure(folder, port, settings))
    (folder / "configs" / "etcd.yaml").write_text(_configure_etcd(port))
    environment = {
        **os.environ,
        "DEPLOY_MODE": "STANDALONE",
        "METRICS_PORT": str(port + 1),
        "MILVUS_RUN_DIR": str(folder / "run"),
        "LD_LIBRARY_PATH": str(executable.parent),
        "MALLOC_ARENA_MAX": "4",
        "TMPDIR": str(folder / "logs"),
    }
    os.chdir(folder)
    output = os.open(folder / "logs" / "output.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.execve(executable, [str(executable), "run", "standalone"], environment)


def _configure(folder: Path, port: int, settings: dict[str, str]) -> str:
    template = (home() / "config.yaml.template").read_text()
    names = [name for name in dict.fromkeys(_PORTS.findall(template)) if name != "proxy_port"]
    values = {name: str(port + 2 + place) for place, name in enumerate(names)}
    values |= {
        "proxy_port": str(port),
        "etcd_log_path": str(folder / "logs" / "etcd.log"),
        "system_log_path": str(folder / "logs"),
        "etcd_data_dir": str(folder / "data" / "etcd.data"),
        "local_storage_dir": str(folder / "data"),
        "rocksmq_data_dir": str(folder / "data" / "rocksmq"),
    }
    text = _VARIABLE.sub(lambda found: values.get(found[1], found[2] or ""), template)
    text = text.replace("etcd:\n", f"etcd:\n  config:\n    path: {folder / 'configs' / 'etcd.yaml'}\n", 1)
    for place, value in (DEFAULTS | settings).items():
        text = _set(text, place.split("."), value)
    return text


def _configure_etcd(port: int) -> str:
    """Return settings of the etcd inside, which would listen at ports 2379 and 2380 whatever milvus.yaml says."""
    client, peer = f"http://127.0.0.1:{port + 12}", f"http://127.0.0.1:{port + 13}"
    return (
        f"listen-client-urls: {client}\nadvertise-client-urls: {client}\nlisten-peer-urls: {peer}\n"
        f"initial-advertise-peer-urls: {peer}\ninitial-cluster: default={peer}\n"
    )


def _set(text: str, place: list[str], value: str) -> str:
    """Return the YAML text with one value replaced; its place is a path of names, two blanks deeper each."""
    lines, depth = text.splitlines(), 0
    for number, line in enumerate(lines):
        if line.startswith(f"{'  ' * depth}{place[depth]}:"):
            if depth + 1 == len(place):
                lines[number] = f"{'  ' * depth}{place[depth]}: {value}"
                return "\n".join(lines) + "\n"
            depth += 1
    raise SystemExit(f"milvus.yaml has no {'.'.join(place)}")


if __name__ == "__main__":
    sys.exit(main())
