# SPDX-License-Identifier: Apache-2.0
"""check_manifests BIN_FOLDER: every overlay of deploy/k8s renders, is valid by the Kubernetes schemas
and obeys our rules. Each rule is a function named rule_...; it takes the objects of one overlay."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

import manifests
from manifests import container_of, environment, find, fleet_config, is_fleet, pod_of, selects, workloads

import kubernetes_validate
import yaml

KUBERNETES = "1.33"
BIN = pathlib.Path(sys.argv[1])
KEYS = manifests.make_keys(BIN)

# Objects of other projects: which keys of their spec we use, by their published definitions.
FOREIGN = {
    "ScaledObject": (
        "keda.sh/v1alpha1",
        {"scaleTargetRef", "pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount",
         "fallback", "advanced", "triggers"},
    ),
    "PodMonitor": ("monitoring.coreos.com/v1", {"selector", "podMetricsEndpoints"}),
    "PrometheusRule": ("monitoring.coreos.com/v1", {"groups"}),
}


def name_of(item):
    return f"{item['kind']} {item['metadata']['name']}"


def pods_selected(objects, selector):
    return [item for item in workloads(objects)
            if selects(selector, item["spec"]["template"]["metadata"]["labels"])]


def container_ports(workload):
    ports = container_of(workload).get("ports", [])
    return {port["name"]: port["containerPort"] for port in ports}


def has_port(workload, port):
    ports = container_ports(workload)
    return port in ports or port in ports.values()


def rule_valid_by_schema(objects):
    for item in objects:
        if item["kind"] in FOREIGN:
            version, keys = FOREIGN[item["kind"]]
            assert item["apiVersion"] == version, name_of(item)
            unknown = set(item["spec"]) - keys
            assert not unknown, f"{name_of(item)}: {unknown}"
        else:
            kubernetes_validate.validate(item, KUBERNETES, strict=True)


def rule_one_of_each_in_one_namespace(objects):
    names = [name_of(item) for item in objects]
    assert len(names) == len(set(names)), "an object occurs twice"
    for item in objects:
        if item["kind"] not in ("Namespace", "PriorityClass"):
            assert item["metadata"]["namespace"] == "argosy", name_of(item)


def rule_pods_obey_the_restricted_standard(objects):
    for item in workloads(objects):
        pod, container = pod_of(item), container_of(item)
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True and security["runAsUser"] >= 10000, name_of(item)
        assert security["seccompProfile"]["type"] == "RuntimeDefault", name_of(item)
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False, name_of(item)
        assert own["readOnlyRootFilesystem"] is True, name_of(item)
        assert own["capabilities"] == {"drop": ["ALL"]}, name_of(item)
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            assert key not in pod, name_of(item)
        assert pod["automountServiceAccountToken"] is False, name_of(item)
        assert find(objects, "ServiceAccount", pod["serviceAccountName"])


def rule_limits_are_set(objects):
    for item in workloads(objects):
        resources = container_of(item)["resources"]
        for key in ("cpu", "memory"):
            assert key in resources["requests"] and key in resources["limits"], name_of(item)
        for volume in pod_of(item).get("volumes", []):
            if "emptyDir" in volume:
                assert "sizeLimit" in volume["emptyDir"], f"{name_of(item)}: {volume['name']}"


def rule_images_have_a_version(objects):
    for item in workloads(objects):
        tag = container_of(item)["image"].rpartition(":")[2]
        assert re.fullmatch(r"\d+(\.\d+)+", tag), f"{name_of(item)}: {tag}"


def rule_gpus_only_where_wanted(objects):
    for item in workloads(objects):
        limits = container_of(item)["resources"]["limits"]
        variables = environment(item, "pod")
        if variables.get("ARGOSY_DEVICE") == "cuda":
            assert limits.get("nvidia.com/gpu") == "1", name_of(item)
            assert any(t["key"] == "nvidia.com/gpu" for t in pod_of(item)["tolerations"])
            assert any(m["mountPath"] == "/dev/shm" for m in container_of(item)["volumeMounts"])
        elif is_fleet(item):
            assert "nvidia.com/gpu" not in limits, name_of(item)


def rule_what_pods_mount_is_there(objects):
    for item in workloads(objects):
        volumes = {volume["name"]: volume for volume in pod_of(item).get("volumes", [])}
        for claim in item["spec"].get("volumeClaimTemplates", []):
            volumes[claim["metadata"]["name"]] = claim
        mounts = container_of(item).get("volumeMounts", [])
        assert {mount["name"] for mount in mounts} == set(volumes), name_of(item)
        for volume in volumes.values():
            if "configMap" in volume:
                find(objects, "ConfigMap", volume["configMap"]["name"])
            if "secret" in volume:
                find(KEYS, "Secret", volume["secret"]["secretName"])
                assert volume["secret"]["defaultMode"] == 0o400, name_of(item)
            if "persistentVolumeClaim" in volume:
                find(objects, "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"])
        if "priorityClassName" in pod_of(item):
            find(objects, "PriorityClass", pod_of(item)["priorityClassName"])


def rule_selectors_select(objects):
    for item in objects:
        spec = item.get("spec", {})
        if item["kind"] in ("StatefulSet", "Deployment"):
            assert selects(spec["selector"], spec["template"]["metadata"]["labels"]), name_of(item)
        elif item["kind"] == "Service":
            chosen = pods_selected(objects, {"matchLabels": spec["selector"]})
            assert len(chosen) == 1, name_of(item)
            for port in spec["ports"]:
                assert container_ports(chosen[0])[port["targetPort"]] == port["port"], name_of(item)
        elif item["kind"] in ("PodDisruptionBudget", "PodMonitor"):
            assert pods_selected(objects, spec["selector"]), name_of(item)
        elif item["kind"] == "NetworkPolicy" and spec["podSelector"]:
            # Overlays without GPU workers share the policy of all workers.
            assert pods_selected(objects, spec["podSelector"]), name_of(item)
    for item in objects:
        if item["kind"] == "StatefulSet":
            assert find(objects, "Service", item["spec"]["serviceName"])["spec"]["clusterIP"] == "None"


def rule_network_policies_name_real_ports(objects):
    for item in objects:
        if item["kind"] != "NetworkPolicy":
            continue
        for rule in item["spec"].get("ingress", []):
            for chosen in pods_selected(objects, item["spec"]["podSelector"]):
                if is_fleet(chosen):
                    for port in rule["ports"]:
                        assert has_port(chosen, port["port"]), f"{name_of(item)}: {port}"
        for rule in item["spec"].get("egress", []):
            for peer in rule.get("to", []):
                if "podSelector" in peer and "namespaceSelector" not in peer:
                    target = pods_selected(objects, peer["podSelector"])
                    assert target, name_of(item)
                    for port in rule["ports"]:
                        assert has_port(target[0], port["port"]), f"{name_of(item)}: {port}"


def rule_probes_ask_the_http_port(objects):
    for item in workloads(objects):
        if not is_fleet(item):
            continue
        config = yaml.safe_load(fleet_config(objects, item))
        port = int(config["http"]["listen"].rpartition(":")[2])
        container = container_of(item)
        for probe, path in (("startupProbe", "/startupz"), ("livenessProbe", "/livez"),
                            ("readinessProbe", "/readyz")):
            request = container[probe]["httpGet"]
            assert request == {"path": path, "port": "http"}, name_of(item)
        assert container_ports(item)["http"] == port, name_of(item)


def rule_config_is_valid(objects):
    for item in workloads(objects):
        if not is_fleet(item):
            continue
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(fleet_config(objects, item))
            file.flush()
            result = subprocess.run(
                [BIN / "argosy", "config", "check", file.name], capture_output=True, text=True,
                timeout=60, env=dict(os.environ, **environment(item, "pod-0")),
            )
        assert result.returncode == 0, f"{name_of(item)}: {result.stderr}"


def rule_config_agrees_with_the_objects(objects):
    for item in workloads(objects):
        if not is_fleet(item):
            continue
        config = yaml.safe_load(fleet_config(objects, item))
        mounts = {mount["mountPath"]: mount["name"] for mount in container_of(item)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in pod_of(item)["volumes"]}
        ports = container_ports(item)
        for section in ("engine", "storage"):
            part = config[section]
            for address in part.get("listen", []):
                if address != "ipc":
                    assert ports[section] == int(address.rpartition(":")[2]), name_of(item)
            if "endpoint" in part:
                url = urllib.parse.urlparse(part["endpoint"])
                service = find(objects, "Service", url.hostname)
                assert url.port in [port["port"] for port in service["spec"]["ports"]], name_of(item)
                assert part["client_key_file"] and part["server_public_key_file"], name_of(item)
            for key in ("server_key_file", "client_key_file", "server_public_key_file"):
                if key in part:
                    path = pathlib.PurePosixPath(part[key])
                    secret = volumes[mounts[str(path.parent)]]["secret"]["secretName"]
                    assert path.name in find(KEYS, "Secret", secret)["data"], f"{name_of(item)}: {path}"
            if "authorized_keys_dir" in part:
                secret = volumes[mounts[part["authorized_keys_dir"]]]["secret"]["secretName"]
                assert find(KEYS, "Secret", secret)["data"], name_of(item)
        data = pathlib.PurePosixPath(config["data_dir"])
        assert str(data.parent) in mounts, f"{name_of(item)}: {data} is on the read-only root"
        assert environment(item, "pod")["ARGOSY_DATA_DIR"] == str(data), name_of(item)


def rule_grace_is_longer_than_the_drain(objects):
    for item in workloads(objects):
        if is_fleet(item):
            config = yaml.safe_load(fleet_config(objects, item))
            drain_ms = max([group["grace_ms"] for group in config["groups"]], default=10000)
            grace_ms = pod_of(item)["terminationGracePeriodSeconds"] * 1000
            assert grace_ms >= drain_ms * 1.25 + 10000, f"{name_of(item)}: {grace_ms} {drain_ms}"


def slots_of(objects, workload_name, queue_name):
    config = yaml.safe_load(fleet_config(objects, find(objects, "Deployment", workload_name)))
    return sum(queue["slots"] * group.get("processes", 1) for group in config["groups"]
               for queue in group["queues"] if queue["name"] == queue_name)


def rule_autoscalers_scale_what_is_there(objects):
    for item in objects:
        spec = item.get("spec", {})
        if item["kind"] == "ScaledObject":
            target = spec["scaleTargetRef"]["name"]
            trigger = spec["triggers"][0]["metadata"]
            url = urllib.parse.urlparse(trigger["url"])
            service, namespace, suffix = url.hostname.split(".")
            assert namespace == "argosy" and suffix == "svc" and url.path == "/v1/scale"
            found = find(objects, "Service", service)
            assert url.port in [port["port"] for port in found["spec"]["ports"]]
            queue = urllib.parse.parse_qs(url.query)["queue"][0]
            wanted = trigger["targetValue"]
            lowest, highest = spec["minReplicaCount"], spec["maxReplicaCount"]
        elif item["kind"] == "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]["name"]
            metric = spec["metrics"][0]["external"]
            queue = metric["metric"]["selector"]["matchLabels"]["queue"]
            wanted = metric["target"]["averageValue"]
            lowest, highest = spec["minReplicas"], spec["maxReplicas"]
            assert lowest >= 1, "an autoscaler without KEDA cannot come back from none"
        else:
            continue
        assert "replicas" not in find(objects, "Deployment", target)["spec"], target
        assert slots_of(objects, target, queue) == int(wanted), f"{name_of(item)}: slots of a pod"
        assert 0 <= lowest < highest, name_of(item)


RULES = [function for name, function in sorted(globals().items()) if name.startswith("rule_")]


def main():
    failures = 0
    for overlay in manifests.OVERLAYS:
        objects = manifests.render(overlay)
        for rule in RULES:
            try:
                rule(objects)
            except Exception as failure:  # every rule is told of, not the first alone
                failures += 1
                print(f"not ok {overlay}: {rule.__name__}: {type(failure).__name__}: {failure}")
            else:
                print(f"ok {overlay}: {rule.__name__}")
    print(f"{len(manifests.OVERLAYS)} overlays, {len(RULES)} rules, {failures} failures")
    return 1 if failures else 0


sys.exit(main())
