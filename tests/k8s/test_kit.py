# SPDX-License-Identifier: MIT
"""The drills' judge, on planted data: it must go red. No cluster is needed."""
import collections
import io
import json
import pathlib
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from kit import images, policies, row, stage  # noqa: E402

GOOD = {"pcs": 100, "lost": 0, "changed": 0, "doubled": 0, "answers": {"200": 80, "202": 20, "503": 3}, "errors": {"cut": 1}, "gap_s": 1.0,
        "gap_at_s": 2.0, "some": {}}


def judged(**planted):
    made = row.Row("name", "about")
    made.take_load({**GOOD, **planted}, gap_max=3.0, refused_max=0)
    return made.faults


# Nothing is at fault in a good report; each promise that is broken is.
def test_row_is_red_on_each_broken_promise():
    assert judged() == []
    for planted in ({"lost": 1}, {"changed": 1}, {"doubled": 1}, {"pcs": 0}, {"gap_s": 3.1}, {"errors": {"refused": 1}}, {"answers": {"400": 1}}):
        assert len(judged(**planted)) == 1, planted


# Restarts beyond those that the drill causes, and Warning events of an unknown kind, are faults.
def test_row_is_red_on_restarts_and_warnings():
    for restarts, warnings, faults in ((1, {"Unhealthy": 4}, 0), (2, {}, 1), (0, {"OOMKilling": 1}, 1), (0, {"BackOff": 1}, 0)):
        made = row.Row("name", "about")
        made.take_events(restarts, 1, collections.Counter(warnings), frozenset({"BackOff"}))
        assert len(made.faults) == faults, made.faults


# A line of the table has as many cells as its head, and its faults are bold.
def test_table_line_has_every_cell():
    made = row.Row("name", "about")
    made.take_load({**GOOD, "lost": 2}, gap_max=3.0, refused_max=0)
    cells = row.line(json.loads(json.dumps({**vars(made), "took": 1})))
    assert len(cells) == len(row.HEAD) and cells[2] == "2 / 0 / 0" and "**promises broken" in cells[-1]


def pod(name, space="space", **labels):
    return {"metadata": {"name": name, "namespace": space, "labels": {"app": name, **labels}}, "spec": {},
            "status": {"podIP": f"198.18.101.{len(name)}", "phase": "Running"}}


# A selected pod's packets are dropped unless a policy names their peer and port; pods of other namespaces need a namespace selector.
def test_policies_become_rules():
    made = object.__new__(policies.Pods)
    made.spaces = {"space": {}, "other": {"kind": "watch"}}
    made.pods = [pod("a"), pod("bb"), pod("bbb", "other", app="bb"), pod("bbbb", "other")]
    made.policies = [{"metadata": {"namespace": "space"}, "spec": {
        "podSelector": {"matchLabels": {"app": "a"}}, "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "bb"}}}], "ports": [{"protocol": "TCP", "port": 1}]},
                    {"from": [{"namespaceSelector": {"matchLabels": {"kind": "watch"}}}], "ports": [{"port": 2}]},
                    {"from": [{"podSelector": {"matchLabels": {"app": "nobody"}}}]}]}}]
    rules = made.rules()
    assert "chain ingress_0 {\nip saddr { 198.18.101.2 } tcp dport 1 return\nip saddr { 198.18.101.3, 198.18.101.4 } tcp dport 2 return\ndrop\n}" in rules
    assert "chain egress_0 {\ndrop\n}" in rules and "ip daddr vmap { 198.18.101.1 : jump ingress_0 }" in rules


# Each operator of a selector chooses as Kubernetes does, also where the label is missing.
def test_selectors_choose():
    for operator, labels, fits in (("In", {"x": "1"}, True), ("In", {}, False), ("NotIn", {"x": "1"}, False), ("NotIn", {}, True),
                                   ("Exists", {}, False), ("DoesNotExist", {}, True)):
        assert policies.fits({"matchExpressions": [{"key": "x", "operator": operator, "values": ["1"]}]}, labels) is fits


# Values of a drill are laid over the stage's own, down to the leaves, and leave those as they were.
def test_values_are_merged():
    assert stage.merged({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 4}, "e": 5}) == {"a": {"b": 4, "c": 2}, "d": 3, "e": 5}


# An image is an archive whose manifest names its layer; the program and each library that it loads are in it.
def test_image_holds_the_program_and_its_libraries(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "IMAGES", tmp_path)
    images.image("a.tar", "a:1", {"/usr/bin/python3": "/usr/bin/python3"}, shell=False, texts={"etc/b": "c"})
    with tarfile.open(tmp_path / "a.tar") as outer:
        manifest = json.load(outer.extractfile("manifest.json"))[0]
        with tarfile.open(fileobj=io.BytesIO(outer.extractfile(manifest["Layers"][0]).read())) as layer:
            names = layer.getnames()
    assert manifest["RepoTags"] == ["docker.io/library/a:1"] and {"usr/bin/python3", "etc/b"} <= set(names)
    assert any("libc.so" in name for name in names) and any("ld-linux" in name for name in names)
