# SPDX-License-Identifier: MIT
"""Writes the pods of flk as Prometheus' file_sd reads them, every two seconds, with the labels that the chart's PodMonitor gives.
usage: targets.py FILE"""
import json
import os
import subprocess
import sys
import time


def target(pod):
    """None for a pod that is not to be scraped."""
    meta, status = pod["metadata"], pod["status"]
    ports = [port["containerPort"] for container in pod["spec"]["containers"] for port in container.get("ports", [])
             if port.get("name") in ("http", "admin")]
    if status.get("phase") != "Running" or not status.get("podIP") or not ports or meta.get("deletionTimestamp"):
        return None
    role = meta["labels"].get("app.kubernetes.io/component", "")
    labels = {"job": f"flk-{role}", "namespace": meta["namespace"], "pod": meta["name"]}
    if "track" in meta["labels"]:
        labels["track"] = meta["labels"]["track"]
    return {"targets": [f"{status['podIP']}:{ports[0]}"], "labels": labels}


def write(file):
    done = subprocess.run(["kubectl", "get", "pods", "-A", "-l", "app.kubernetes.io/name=flk", "-o", "json"], capture_output=True, text=True)
    if done.returncode == 0:
        found = [found for found in map(target, json.loads(done.stdout)["items"]) if found]
        with open(f"{file}.new", "w") as new:
            json.dump(found, new)
        os.replace(f"{file}.new", file)


while True:
    write(sys.argv[1])
    time.sleep(2)
