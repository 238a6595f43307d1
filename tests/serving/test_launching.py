import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from integration.servers import find_free_ports

from glyphseek.config import Config
from glyphseek.errors import SettingError
from glyphseek.rpc.server import ServerSettings
from glyphseek.serving.cluster import TUNING, read_applications
from glyphseek.serving.launching import METRICS_FOLDER, check_ports, find_applications, plan_cluster, plan_plain


def _config() -> Config:
    first = find_free_ports(6)
    return Config(
        http_port=first,
        grpc_port=first + 1,
        metrics_port=first + 2,
        encoder=f"127.0.0.1:{first + 3}",
        reranker=f"127.0.0.1:{first + 4}",
        matcher=f"127.0.0.1:{first + 5}",
    )


@pytest.mark.parametrize("name", ["http_port", "grpc_port", "metrics_port", "matcher"])
def test_a_taken_port_is_named_with_what_wants_it(name: str) -> None:
    config = _config()
    port = int(str(getattr(config, name)).rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)), pytest.raises(SettingError, match=rf"port {port} \({name}\)"):
        check_ports(config, is_plain=True)


def test_ports_of_services_behind_ray_are_not_asked_for() -> None:
    config = _config()
    port = int(config.matcher.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        check_ports(config, is_plain=False)


def test_a_port_that_nobody_can_know_is_refused() -> None:
    with pytest.raises(SettingError, match="http_port is 0"):
        check_ports(replace(_config(), http_port=0), is_plain=True)
    check_ports(replace(_config(), metrics_port=0), is_plain=True)


@pytest.mark.parametrize(
    ("host", "told"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("10.1.2.3", "10.1.2.3")]
)
def test_metrics_are_told_at_an_address_that_answers(tmp_path: Path, host: str, told: str) -> None:
    config = replace(_config(), metrics_host=host)
    launch = plan_plain(config, counts=tmp_path)
    assert launch.metrics == f"http://{told}:{config.metrics_port}/metrics"
    assert {one.environment["GLYPHSEEK_METRICS_HOST"] for one in launch.commands} == {host}


def test_plain_processes_share_one_configuration_and_one_folder_of_counts(tmp_path: Path) -> None:
    config = replace(_config(), s3_secret_key="hidden")
    launch = plan_plain(config, counts=tmp_path)
    assert [one.name for one in launch.commands] == ["encoder", "reranker", "matcher", "gateway"]
    for one in launch.commands:
        assert one.environment["GLYPHSEEK_S3_SECRET_KEY"] == "hidden"
        assert one.environment[METRICS_FOLDER] == str(tmp_path)
        assert "hidden" not in " ".join(one.arguments)
    assert launch.http == f"http://127.0.0.1:{config.http_port}"
    assert launch.grpc == f"127.0.0.1:{config.grpc_port}"


def test_a_cluster_is_one_tuned_process_whose_services_are_behind_one_port(tmp_path: Path) -> None:
    config = replace(_config(), host="0.0.0.0")
    launch = plan_cluster(config, counts=tmp_path, applications=find_applications(), cpus=2)
    (command,) = launch.commands
    assert command.environment["GLYPHSEEK_MATCHER"] == f"127.0.0.1:{config.grpc_port}/matcher"
    assert TUNING.items() <= command.environment.items()
    assert "0.0.0.0" not in command.arguments  # nobody is asked for a key
    assert launch.grpc == f"127.0.0.1:{config.grpc_port}/gateway"
    keyed = plan_cluster(replace(config, api_keys_file="keys.json"), counts=tmp_path, applications=tmp_path, cpus=2)
    assert "0.0.0.0" in keyed.commands[0].arguments


def test_the_applications_are_those_that_the_gateway_needs_with_all_bounds_set() -> None:
    found = read_applications(find_applications())
    by_name = {one["name"]: one for one in found["applications"]}
    assert set(by_name) == {"encoder", "reranker", "matcher", "gateway"}
    for name, application in by_name.items():
        assert application["import_path"] == f"glyphseek_{name}.app:build"
        assert application["route_prefix"] == ("/" if name == "gateway" else f"/internal/{name}")
        (deployment,) = application["deployments"]
        assert deployment["name"] == name
        assert {"max_ongoing_requests", "max_queued_requests", "ray_actor_options"} <= deployment.keys()


def test_messages_are_bounded_behind_ray_as_they_are_between_plain_processes() -> None:
    bounds = {name: int(value) for name, value in TUNING.items() if "GRPC_MAX_MESSAGE" in name}
    assert bounds == {
        "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": ServerSettings().max_message_bytes,
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": ServerSettings().max_message_bytes + 2**20,
    }


@pytest.mark.parametrize("name", ["applications.yaml", "applications_gpu.yaml"])
def test_every_file_of_applications_says_which_bounds_of_messages_its_nodes_need(name: str) -> None:
    text = find_applications().with_name(name).read_text()
    for variable, value in TUNING.items():
        if "GRPC_MAX_MESSAGE" in variable:
            assert f"#   {variable}={value} " in text


@pytest.mark.parametrize("name", ["applications.yaml", "applications_gpu.yaml"])
def test_a_gateway_that_serve_keeps_requests_from_refuses_them_as_it_does_itself(name: str) -> None:
    [gateway] = [
        one
        for one in read_applications(find_applications().with_name(name))["applications"]
        if one["name"] == "gateway"
    ]
    assert gateway["deployments"][0]["backpressure_config"] == {"status_code": 429, "retry_after_s": 1}


@pytest.mark.parametrize("text", ["- a list", "applications: {", "http_options: {}"])
def test_a_file_that_is_not_of_serve_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "applications.yaml"
    file.write_text(text)
    with pytest.raises(SettingError, match=r"applications\.yaml"):
        read_applications(file)


def test_ray_serve_takes_every_file_of_applications() -> None:
    files = sorted(str(file) for file in find_applications().parent.glob("*.yaml"))
    assert len(files) == 2
    code = (
        "import sys, yaml\n"
        "from ray.serve.schema import ServeDeploySchema\n"
        "for file in sys.argv[1:]:\n"
        "    print(len(ServeDeploySchema.model_validate(yaml.safe_load(open(file))).applications))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, timeout=100)
    assert ended.stdout.split() == ["4", "4"], ended.stderr
