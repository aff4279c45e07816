"""The files that bring the stack up: checked by the programs that will read them."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from awry.cli import app
from awry.ops.keys import Keys
from awry.ops.settings import Settings
from awry.ops.store import Store

DEPLOY = Path(__file__).parents[1] / "deploy"


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return found


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_its_configuration(tmp_path):
    key = tmp_path / "key"
    key.write_text("secret")
    text = (DEPLOY / "prometheus/prometheus.yml").read_text()
    shutil.copytree(DEPLOY / "prometheus/rules", tmp_path / "rules")
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/run/secrets/awry_key", str(key)))
    _run(_tool("promtool"), "check", "config", str(config))


def test_each_alert_fires_when_it_should_and_only_then():
    _run(_tool("promtool"), "test", "rules", "rules_test.yml")


def test_alertmanager_reads_its_configuration():
    _run(_tool("amtool"), "check-config", str(DEPLOY / "alertmanager/alertmanager.yml"))


def test_what_is_down_or_critical_silences_what_follows_from_it():
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    names = {
        rule["alert"]
        for group in yaml.safe_load((DEPLOY / "prometheus/rules/alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    }
    named = re.findall(r"Awry\w+", json.dumps(config["inhibit_rules"]))
    assert named
    assert set(named) <= names


def test_compose_names_what_is_there():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    ports = {p for s in compose["services"].values() for p in s.get("ports", ())}
    published = {int(p.split(":")[1]) for p in ports}
    assert published == {8000, 3000, 8888, 9090, 9093, 5000}
    # Nothing is offered beyond this machine, and no secret stands in the file.
    assert all(p.startswith("127.0.0.1:") for p in ports)
    for service in compose["services"].values():
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
            else:
                assert source in compose["volumes"]
    for path in ("prometheus/prometheus.yml", "alertmanager/alertmanager.yml"):
        for host in re.findall(r"(?:://|\")([a-z]+):\d+", (DEPLOY / path).read_text()):
            assert host in compose["services"], host


def test_images_are_pinned_and_those_that_are_built_have_awry():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    stages = dict(
        re.findall(r"^FROM \S+ AS (\w+)$(.*?)(?=^FROM|\Z)", (DEPLOY / "Dockerfile").read_text(),
                   re.M | re.S)
    )  # fmt: skip
    for name, service in compose["services"].items():
        if "image" in service:
            tag = service["image"].rpartition(":")[2]
            assert re.match(r"v?\d", tag), name
        else:
            stage = service["build"]["target"]
            assert stage in ("service", "jupyter")
            assert f"FROM base AS {stage}\n" in (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"pip install .*'\.\[", stages["base"])
    assert compose["services"]["jupyter"]["build"]["target"] == "jupyter"
    assert re.search(r"jupyterlab==\d", stages["jupyter"])
    # Whoever builds the file without naming a stage gets the service.
    assert list(stages)[-1] == "service"


def test_what_the_stream_finds_reaches_the_page():
    stream = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["stream"]
    shell, option, script = stream["command"]
    assert (shell, option) == ("sh", "-c")
    words = shlex.split(script.replace("$$", "$"))
    assert words[:3] == ["exec", "awry", "stream"]
    sinks = [words[i + 1] for i, word in enumerate(words) if word == "--to"]
    assert "$AWRY_DATABASE_URL" in sinks
    # The same database as the page's, its password from the environment.
    url = stream["environment"]["AWRY_DATABASE_URL"]
    assert url.startswith("postgresql://awry:${AWRY_POSTGRES_PASSWORD")
    known = CliRunner().invoke(app, ["stream", "--help"]).output
    for word in words[3:]:
        assert not word.startswith("--") or f"{word} " in known, word


def test_the_key_that_compose_says_to_make_is_the_one_that_is_used(tmp_path, monkeypatch):
    """Prometheus may look with it, Alertmanager may send, and neither may more."""
    text = (DEPLOY / "compose.yaml").read_text()
    ((command, file),) = re.findall(r"api (awry keys create .*) > deploy/(\S+)$", text, re.M)
    compose = yaml.safe_load(text)
    assert {f"./{file}"} == {one["file"] for one in compose["secrets"].values()}
    kept_out = (DEPLOY.parent / ".gitignore").read_text().splitlines()
    assert f"deploy/{file.partition('/')[0]}/" in kept_out
    for name in ("prometheus", "alertmanager"):
        config = (DEPLOY / name / f"{name}.yml").read_text()
        used = re.findall(r"credentials_file: /run/secrets/(\S+)", config)
        assert used == compose["services"][name]["secrets"] == [file.rpartition("/")[2]]

    monkeypatch.setenv("AWRY_HOME", str(tmp_path))
    made = CliRunner().invoke(app, command.split()[1:])
    assert made.exit_code == 0, made.output
    store = Store(Settings(home=tmp_path))
    caller = Keys(store).check(made.stdout.strip())
    store.close()
    assert caller is not None
    assert caller.role == "write"
