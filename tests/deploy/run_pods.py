# SPDX-License-Identifier: Apache-2.0
"""run_pods BIN_FOLDER: the installed tree runs as the manifests of the cpu-only overlay say.

Each workload is one pod here: a network, process and host name of its own, the root file system read
only, user and group of the manifest, its mounts (secrets as a kubelet makes them: root's, read through
the group), environment and arguments, the supervisor as process 1, and a service's name that resolves
to the engine's pod. Then: the probes answer, workflows run over the network with keys, the autoscaler's
figures are there, and SIGTERM ends each pod within its grace period.

Needs the right to make namespaces; everything made is gone with this process."""
import base64
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import manifests
from manifests import container_of, environment, find, pod_of

OVERLAY = "cpu-only"
INSIDE = "ARGOSY_RUN_PODS_INSIDE"
ENGINE, CPU, GPU = "argosy-engine", "argosy-worker-cpu", "argosy-worker-gpu"
HOST_ADDRESS = "10.77.0.254"
WAIT_S = 120


def enter_namespaces():
    """Goes on in namespaces of its own, or skips."""
    if os.environ.get(INSIDE):
        return
    unshare = ["unshare", "--mount", "--propagation", "private", "--net", "--pid", "--fork",
               "--kill-child", "--mount-proc"]
    if os.geteuid() != 0 or subprocess.run([*unshare, "true"], capture_output=True).returncode != 0:
        manifests.skip("namespaces need root")
    for tool in ("ip", "chroot", "setpriv", "nsenter"):
        if shutil.which(tool) is None:
            manifests.skip(f"there is no {tool}")
    os.environ[INSIDE] = "yes"
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            timeout=WAIT_S, **options)
    if result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: {result.stdout}{result.stderr}")
    return result.stdout


def wait_for(what, condition):
    limit = time.monotonic() + WAIT_S
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > limit:
            raise AssertionError(f"not within {WAIT_S} s: {what}")
        time.sleep(0.05)


class Pod:
    def __init__(self, workload, address, work):
        self.workload = workload
        self.name = workload["metadata"]["name"]
        self.address = address
        self.root = work / self.name
        self.log_path = work / f"{self.name}.log"
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self.unshare = None
        self._join_network()

    def _join_network(self):
        own = os.readlink("/proc/self/ns/net")
        path = f"/proc/{self.holder.pid}/ns/net"
        wait_for("a network of its own", lambda: os.readlink(path) != own)
        cable = f"pod{self.address.rpartition('.')[2]}"
        run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns",
            self.holder.pid)
        run("ip", "link", "set", cable, "master", "pods", "up")
        for words in (["link", "set", "lo", "up"], ["link", "set", "eth0", "up"],
                      ["address", "add", f"{self.address}/24", "dev", "eth0"]):
            run("nsenter", f"--net={path}", "ip", *words)

    def make_root(self, objects, keys, install):
        self.root.mkdir()
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.root)
        for folder in ("usr", "lib", "lib64", "bin", "sbin"):
            source = pathlib.Path("/") / folder
            if source.is_symlink():
                (self.root / folder).symlink_to(os.readlink(source))
            elif source.exists():
                self._bind(source, folder)
        for folder in ("dev", "sys"):
            self._bind(pathlib.Path("/") / folder, folder)
        (self.root / "proc").mkdir()
        (self.root / "etc").mkdir()
        shutil.copy("/etc/ld.so.cache", self.root / "etc")
        (self.root / "etc/hosts").write_text(
            f"127.0.0.1 localhost\n{self.address} {self.name}\n10.77.0.1 {ENGINE}\n")
        (self.root / "etc/nsswitch.conf").write_text("hosts: files\n")
        self._bind(install, "opt/argosy")
        volumes = {volume["name"]: volume for volume in pod_of(self.workload)["volumes"]}
        for mount in container_of(self.workload)["volumeMounts"]:
            self._mount(objects, keys, volumes.get(mount["name"], {}), mount)
        run("mount", "-o", "remount,ro", self.root)

    def _bind(self, source, target):
        target = self.root / target
        target.mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", source, target)
        run("mount", "-o", "remount,bind,ro", target)

    def _mount(self, objects, keys, volume, mount):
        group = pod_of(self.workload)["securityContext"]["fsGroup"]
        target = self.root / mount["mountPath"].lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", f"mode=2775,uid=0,gid={group}", "tmpfs", target)
        if "configMap" in volume:
            for name, text in find(objects, "ConfigMap", volume["configMap"]["name"])["data"].items():
                (target / name).write_text(text)
        elif "secret" in volume:
            for name, text in find(keys, "Secret", volume["secret"]["secretName"])["data"].items():
                (target / name).write_bytes(base64.b64decode(text))
                os.chown(target / name, 0, group)
                os.chmod(target / name, 0o440)
        elif mount["name"] == "models":
            argosy = self.root / "opt/argosy/bin/argosy"
            run(argosy, "model", "synth", "all-MiniLM-L6-v2",
                env={"ARGOSY_MODEL_DIR": str(target), "PATH": os.environ["PATH"]})
        if mount.get("readOnly"):
            run("mount", "-o", "remount,ro", target)

    def start(self):
        user = pod_of(self.workload)["securityContext"]
        log = open(self.log_path, "wb")
        self.unshare = subprocess.Popen(
            ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net",
             "unshare", "--uts", "--pid", "--fork", "--kill-child", f"--mount-proc={self.root}/proc",
             "sh", "-c", 'hostname "$0" && exec "$@"', self.name,
             "chroot", f"--userspec={user['runAsUser']}:{user['runAsGroup']}",
             f"--groups={user['fsGroup']}", self.root,
             "setpriv", "--no-new-privs",
             "/opt/argosy/bin/argosy-supervisor", *container_of(self.workload)["args"]],
            env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        children = f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children"
        wait_for("process 1", lambda: pathlib.Path(children).read_text().split())
        self.process_1 = int(pathlib.Path(children).read_text().split()[0])

    def _environment(self):
        return {"PATH": "/opt/argosy/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                **environment(self.workload, self.name)}

    def execute(self, *words):
        """What `kubectl exec` does."""
        user = pod_of(self.workload)["securityContext"]
        return run("nsenter", "-t", self.process_1, "-n", "-p", "-u", "-m", "-r",
                   "-S", user["runAsUser"], "-G", user["runAsGroup"], *words, env=self._environment())

    def get(self, path):
        """Status and body of a request to the pod's HTTP port; status 0 where nobody listens yet."""
        ports = {port["name"]: port["containerPort"] for port in container_of(self.workload)["ports"]}
        connection = http.client.HTTPConnection(self.address, ports["http"], timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def wait_probe(self, probe):
        path = container_of(self.workload)[probe]["httpGet"]["path"]

        def answers():
            if self.unshare.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.unshare.returncode}")
            return self.get(path)[0] == 200
        wait_for(f"{path} of {self.name}", answers)
        print(f"ok {self.name}: {path} answers 200")

    def end(self):
        grace_s = pod_of(self.workload)["terminationGracePeriodSeconds"]
        started = time.monotonic()
        os.kill(self.process_1, signal.SIGTERM)
        status = self.unshare.wait(timeout=grace_s)
        assert status == 0, f"{self.name} ended with {status}"
        print(f"ok {self.name}: drained in {time.monotonic() - started:.1f} s of {grace_s}")

    def kill(self):
        for process in (self.unshare, self.holder):
            if process is not None:
                process.kill()
                process.wait()

    def log(self):
        return self.log_path.read_text(errors="replace")


def check_fleet(pods):
    for pod in pods.values():
        pod.wait_probe("startupProbe")
        pod.wait_probe("livenessProbe")
        pod.wait_probe("readinessProbe")

    engine = pods[ENGINE]
    result = json.loads(engine.execute(
        "argosy", "workflow", "execute", "--type", "PrepareAndInferWorkflow", "--id", "infer-1",
        "--input", '"  Hello world  "', "--output", "json"))
    assert "label" in json.dumps(result), result
    history = engine.execute("argosy", "workflow", "show", "--id", "infer-1")
    for worker in (CPU, GPU):
        assert f"@{worker}#" in history, f"no step by {worker}: {history}"
    print("ok a workflow ran in two pods")

    for queue in ("cpu-queue", "gpu-queue", "a-queue-of-nobody"):
        status, body = engine.get(f"/v1/scale?queue={queue}")
        assert status == 200 and json.loads(body)["desired_work"] == 0, (status, body)
    print("ok the autoscaler's figures are there")

    status, body = engine.get("/metrics")
    assert status == 200 and "\nargosy_engine_up 1\n" in body, body
    print("ok metrics are there")

    for pod in (pods[CPU], pods[GPU], engine):
        pod.end()


def main():
    enter_namespaces()
    build = pathlib.Path(sys.argv[1]).parent
    objects = manifests.render(OVERLAY)
    keys = manifests.make_keys(build / "bin")
    with tempfile.TemporaryDirectory(prefix="argosy-test-") as folder:
        work = pathlib.Path(folder)
        os.chmod(work, 0o755)
        # An image has the tree on its own root: this one must not be seen through a private folder.
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", work)
        run("cmake", "--install", build, "--prefix", work / "install", "--strip")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "pods", "type", "bridge")
        run("ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", "pods")
        run("ip", "link", "set", "pods", "up")
        kinds = {ENGINE: "StatefulSet", CPU: "Deployment", GPU: "Deployment"}
        pods = {name: Pod(find(objects, kind, name), f"10.77.0.{number}", work)
                for number, (name, kind) in enumerate(kinds.items(), start=1)}
        try:
            for pod in pods.values():
                pod.make_root(objects, keys, work / "install")
                pod.start()
            check_fleet(pods)
        except BaseException:
            for pod in pods.values():
                if pod.log_path.exists():
                    print(f"--- {pod.name}\n{pod.log()}")
            raise
        finally:
            for pod in pods.values():
                pod.kill()
            run("umount", "--lazy", work)
    print("pods: all checks passed")


main()
