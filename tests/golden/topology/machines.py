#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the machines *.xml that plans are tested with: hwloc's synthetic ones, with GPUs.

    apt install hwloc
    python3 machines.py

lstopo makes packages, NUMA nodes, caches and cores; GPUs, which a synthetic description cannot
have, are added as NVIDIA's PCI devices below the object they are local to. Bus ids and the numbering of
hardware threads (siblings are half the machine apart) are as such machines have them.
"""
import pathlib
import subprocess
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).parent
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n'

# name: (synthetic description, lstopo's options, [(parent's type, its os_index, bus ids, model)])
MACHINES = {
    "dgx": ("pack:2 [numa(memory=1099511627776)] l3:1 core:16 pu:2(indexes=core)", [],
            [("Package", 0, ["1b:00.0", "43:00.0", "52:00.0", "61:00.0"], "H100 SXM5 80GB"),
             ("Package", 1, ["9d:00.0", "c3:00.0", "d1:00.0", "df:00.0"], "H100 SXM5 80GB")]),
    "amd": ("pack:2 group:4 [numa(memory=103079215104)] l3:2 core:4 pu:2(indexes=core)", [],
            [("Group", 1, ["21:00.0"], "L40S"), ("Group", 3, ["61:00.0"], "L40S"),
             ("Package", 1, ["a1:00.0", "e1:00.0"], "L40S")]),
    "one_core": ("pack:1 [numa(memory=2147483648)] core:1 pu:1", [],
                 [("Package", 0, ["00:04.0"], "T4")]),
    # A container got six cores of the first package, of the first two one thread each.
    "cgroup": ("pack:2 [numa(memory=274877906944)] l3:1 core:8 pu:2(indexes=core)",
               ["--disallowed", "--allow", "0x003f003c"],
               [("Package", 0, ["3b:00.0"], "A100-SXM4-40GB"),
                ("Package", 1, ["af:00.0"], "A100-SXM4-40GB")]),
    # Two thirds of the second package are not there, and a third node has memory alone.
    "asymmetric": ("pack:3 [numa(memory=68719476736)] l3:1 core:6 pu:1",
                   ["--restrict", "0xff"],
                   [("Package", 0, ["41:00.0", "42:00.0"], "A10")]),
}


def find(root, kind, index):
    """The index-th object of that type, in the tree's order."""
    return [o for o in root.iter("object") if o.get("type") == kind][index]


def add_gpus(root, parent, bus_ids, model):
    numbers = [int(o.get("gp_index")) for o in root.iter("object")]
    first = bus_ids[0].split(":")[0]
    last = bus_ids[-1].split(":")[0]
    bridge = ElementTree.SubElement(parent, "object", {
        "type": "Bridge", "gp_index": str(max(numbers) + 1), "bridge_type": "0-1", "depth": "0",
        "bridge_pci": f"0000:[{first}-{last}]"})
    for i, bus_id in enumerate(bus_ids):
        ElementTree.SubElement(bridge, "object", {
            "type": "PCIDev", "gp_index": str(max(numbers) + 2 + i), "name": f"NVIDIA {model}",
            "pci_busid": f"0000:{bus_id}", "pci_type": "0302 [10de:2330] [10de:16c1] a1",
            "pci_link_speed": "31.507692"})


def make(name, synthetic, options, gpus):
    command = ["lstopo", "--input", synthetic, "--of", "xml", *options, "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    root = ElementTree.fromstring(text)
    for kind, index, bus_ids, model in gpus:
        add_gpus(root, find(root, kind, index), bus_ids, model)
    for parent in root.iter("object"):
        for info in parent.findall("info") + parent.findall("page_type"):
            parent.remove(info)
    ElementTree.indent(root, " ")
    (HERE / f"{name}.xml").write_text(HEAD + ElementTree.tostring(root, encoding="unicode") + "\n")


for name, (synthetic, options, gpus) in MACHINES.items():
    make(name, synthetic, options, gpus)
