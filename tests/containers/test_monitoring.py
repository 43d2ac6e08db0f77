"""deploy/prometheus and deploy/grafana beside the metrics that the program really has."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from conftest import ROOT, ask, open_url, tool

DASHBOARDS = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
RULES = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]
PANEL_TYPES = {"stat", "timeseries", "heatmap", "row"}
# Panels without data while all is well, and why.
MAY_BE_EMPTY = {"Alerts that fire": "no alert fires"}
METRIC = re.compile(r"\b(?:dunlin|process)_[a-z_]+\b|\bup\b")


def panels():
    return [panel for path in DASHBOARDS for panel in json.loads(path.read_text())["panels"]]


QUERIES = [(panel["title"], target["expr"]) for panel in panels() for target in panel.get("targets", [])]


def promtool(*arguments, **more):
    return subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False, **more)


def test_promtool_accepts_configuration_and_rules():
    for what, name in (("config", "prometheus.yml"), ("rules", "rules.yml")):
        checked = promtool("check", what, str(ROOT / "deploy/prometheus" / name))
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_fires_when_it_should_and_only_then(tmp_path):
    for source in (ROOT / "deploy/prometheus/rules.yml", ROOT / "tests/containers/rules_test.yml"):
        shutil.copy(source, tmp_path)
    tested = promtool("test", "rules", "rules_test.yml", cwd=tmp_path)
    assert tested.returncode == 0, tested.stdout + tested.stderr
    cases = yaml.safe_load((tmp_path / "rules_test.yml").read_text())["tests"]
    fired = {one["alertname"] for case in cases for one in case["alert_rule_test"] if one.get("exp_alerts")}
    assert fired == {rule["alert"] for group in RULES for rule in group["rules"]}


def test_promtool_accepts_what_the_server_tells(server):
    ask(server)
    with open_url(f"http://127.0.0.1:{server}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    linted = promtool("check", "metrics", input=text)
    assert linted.returncode == 0 and not linted.stderr, linted.stderr


def test_the_server_is_found_and_read(loaded):
    targets = loaded.get("/api/v1/targets")["activeTargets"]
    assert [(one["labels"]["job"], one["health"]) for one in targets] == [("dunlin", "up")]


@pytest.mark.parametrize("title, expression", QUERIES, ids=[f"{title}-{at}" for at, (title, _) in enumerate(QUERIES)])
def test_each_query_of_the_dashboard_has_data(loaded, title, expression):
    expression = expression.replace("$__rate_interval", "10s").replace("$model", ".*")
    assert "$" not in expression
    data = loaded.query(expression)
    assert data or title in MAY_BE_EMPTY, expression


def test_no_alert_fires_and_each_asks_for_metrics_that_exist(loaded):
    known = set(loaded.get("/api/v1/label/__name__/values"))
    rules = [rule for group in loaded.get("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in RULES)
    for rule in rules:
        assert rule["health"] == "ok" and rule["state"] != "firing", rule
        assert set(METRIC.findall(rule["query"])) <= known, rule["query"]
    # What the alerts compare is there: the shares and times, without their limits.
    for group in RULES:
        for rule in group["rules"]:
            compared = re.sub(r"\s*(?:[<>]|==)\s*[\d.]+\s*$", "", rule["expr"])
            compared = re.sub(r"^absent\((.*) == 1\)$", r"\1", compared)
            assert loaded.query(compared), compared


def test_the_model_can_be_chosen(loaded):
    for path in DASHBOARDS:
        for variable in json.loads(path.read_text())["templating"]["list"]:
            metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"]).groups()
            assert [labels[label] for labels, _ in loaded.query(f"count by ({label}) ({metric})")] == ["fake"]


def test_grafana_finds_what_it_is_given():
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    folders = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/dunlin.yml").read_text())["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert source[0]["url"] == "http://prometheus:9090"
    mounted = dict(volume.split(":")[:2] for volume in compose["grafana"]["volumes"])
    assert mounted["./deploy/grafana/dashboards"] == folders[0]["options"]["path"]
    home = compose["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in [f"{folders[0]['options']['path']}/{path.name}" for path in DASHBOARDS]
    for panel in panels():
        assert panel["type"] in PANEL_TYPES
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == source[0]["uid"] == panel["datasource"]["uid"]


def test_no_two_panels_share_a_place():
    places, ids = {}, set()
    for panel in panels():
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24 and panel["id"] not in ids
        ids.add(panel["id"])
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in places, (panel["title"], places[x, y])
                places[x, y] = panel["title"]
