# SPDX-License-Identifier: MIT
"""Provisioner of the class "local": a directory on the node that the scheduler chose, as a volume of the kind `local`, because the kubelet
gives such a one to the pod's group (fsGroup). A released volume goes, and its directory with it. usage: volumes.py DIRECTORY"""
import json
import pathlib
import shutil
import subprocess
import sys
import time

CLASS, CHOSEN = "local", "volume.kubernetes.io/selected-node"


def kubectl(*words, **options):
    return subprocess.run(["kubectl", *words], check=True, capture_output=True, text=True, timeout=60, **options).stdout


def items(kind):
    return json.loads(kubectl("get", kind, "-A", "-o", "json"))["items"]


def name_for(claim):
    return f"pvc-{claim['metadata']['uid']}"


def waits(claim):
    spec = claim["spec"]
    return spec.get("storageClassName") == CLASS and not spec.get("volumeName") and CHOSEN in claim["metadata"].get("annotations", {})


def make(root, claim):
    meta, spec = claim["metadata"], claim["spec"]
    node = meta["annotations"][CHOSEN]
    place = root / node / name_for(claim)
    place.mkdir(parents=True, exist_ok=True)
    here = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    kubectl("create", "-f", "-", input=json.dumps({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name_for(claim)},
        "spec": {"capacity": {"storage": spec["resources"]["requests"]["storage"]}, "accessModes": spec["accessModes"],
                 "storageClassName": CLASS, "persistentVolumeReclaimPolicy": "Delete", "local": {"path": str(place)},
                 "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                              **{key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion")}},
                 "nodeAffinity": {"required": {"nodeSelectorTerms": [here]}}}}))
    print(f"made {name_for(claim)} for {meta['namespace']}/{meta['name']} on {node}", flush=True)


def turn(root):
    volumes = {volume["metadata"]["name"]: volume for volume in items("persistentvolumes")}
    for claim in items("persistentvolumeclaims"):
        if waits(claim) and name_for(claim) not in volumes:
            make(root, claim)
    for name, volume in volumes.items():
        if volume["spec"].get("storageClassName") == CLASS and volume["status"].get("phase") in ("Released", "Failed"):
            kubectl("delete", "persistentvolume", name)
            shutil.rmtree(volume["spec"]["local"]["path"], ignore_errors=True)
            print(f"removed {name}", flush=True)


while True:
    try:
        turn(pathlib.Path(sys.argv[1]))
    except subprocess.SubprocessError as error:
        print(f"once more: {error}: {getattr(error, 'stderr', '')}", flush=True)
    time.sleep(1)
