# SPDX-License-Identifier: Apache-2.0
"""Rendered manifests and what they say of their pods, for the tests of deploy/k8s."""
import os
import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TOOLS = pathlib.Path(os.environ.get("ARGOSY_DEPLOY_TOOLS", SOURCE / ".cache" / "deploy-tools"))
SKIP = 77


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIP)


if not (TOOLS / ".complete").exists():
    skip(f"no kustomize and Kubernetes schemas in {TOOLS} (scripts/get-deploy-tools)")
sys.path.insert(0, str(TOOLS / "python"))
import yaml  # noqa: E402

OVERLAYS = sorted(path.name for path in (SOURCE / "deploy/k8s/overlays").iterdir())
WORKLOADS = ("StatefulSet", "Deployment", "Job")


def render(overlay):
    """The objects of an overlay, as kustomize renders them."""
    folder = SOURCE / "deploy/k8s/overlays" / overlay
    result = subprocess.run(
        [TOOLS / "bin" / "kustomize", "build", folder], capture_output=True, text=True, timeout=60
    )
    if result.returncode != 0:
        raise AssertionError(f"{overlay} does not render: {result.stderr}")
    return list(yaml.safe_load_all(result.stdout))


def make_keys(bin_folder):
    """The secrets that deploy/k8s/make-keys prints."""
    environment = dict(os.environ, PATH=f"{bin_folder}:{os.environ['PATH']}")
    result = subprocess.run(
        [SOURCE / "deploy/k8s/make-keys"],
        capture_output=True, text=True, timeout=60, env=environment, check=True,
    )
    return list(yaml.safe_load_all(result.stdout))


def find(objects, kind, name):
    for item in objects:
        if item["kind"] == kind and item["metadata"]["name"] == name:
            return item
    raise AssertionError(f"there is no {kind} {name}")


def workloads(objects):
    return [item for item in objects if item["kind"] in WORKLOADS]


def pod_of(workload):
    return workload["spec"]["template"]["spec"]


def container_of(workload):
    containers = pod_of(workload)["containers"]
    assert len(containers) == 1, "one container in a pod"
    return containers[0]


def selects(selector, labels):
    """Whether a label selector (matchLabels, matchExpressions with In) matches labels."""
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def fleet_config(objects, workload):
    """The text of the config that the workload's pods are started with."""
    arguments = container_of(workload)["args"]
    path = pathlib.PurePosixPath(arguments[arguments.index("--config") + 1])
    for mount in container_of(workload)["volumeMounts"]:
        if mount["mountPath"] == str(path.parent):
            for volume in pod_of(workload)["volumes"]:
                if volume["name"] == mount["name"]:
                    config = find(objects, "ConfigMap", volume["configMap"]["name"])
                    return config["data"][path.name]
    raise AssertionError(f"{workload['metadata']['name']}: no mount for {path}")


def is_fleet(workload):
    """Whether its pods run a supervisor."""
    return "--config" in container_of(workload).get("args", [])


def environment(workload, pod_name):
    """Its container's variables, with the pod's name where they ask for it."""
    variables = {}
    for variable in container_of(workload).get("env", []):
        field = variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        assert field in (None, "metadata.name"), field
        variables[variable["name"]] = pod_name if field else variable["value"]
    return variables
