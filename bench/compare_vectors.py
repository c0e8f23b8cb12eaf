# SPDX-License-Identifier: Apache-2.0
"""Exact nearest neighbours on the same data: Argosy's storage process, NumPy, sqlite-vec.

Run by bench/compare-vectors. Prints a table in Markdown. Answers are compared, too: a neighbour that
one has and another has not must be a tie within the rounding of float.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import apsw
import numpy
import sqlite_vec

K = 10
BATCH = 65536
CENTRES = 10000


def make_data(arguments, folder):
    """Unit vectors as a file of floats: all directions alike, or around centres as texts are."""
    random = numpy.random.default_rng(20261121)
    centres = random.standard_normal((CENTRES, arguments.dimension), dtype=numpy.float32)
    rows = numpy.empty((arguments.count + arguments.queries, arguments.dimension), numpy.float32)
    for first in range(0, len(rows), BATCH):
        part = rows[first:first + BATCH]
        part[:] = random.standard_normal(part.shape, dtype=numpy.float32)
        if arguments.data == "clustered":
            part += centres[random.integers(0, CENTRES, len(part))]
        part /= numpy.linalg.norm(part, axis=1, keepdims=True)
    vectors, queries = rows[:arguments.count], rows[arguments.count:]
    vectors.tofile(os.path.join(folder, "vectors.f32"))
    queries.tofile(os.path.join(folder, "queries.f32"))
    return vectors, queries


def run_argosy(arguments, folder, storage):
    """Through a real storage process and its socket."""
    config = os.path.join(folder, "fleet.yaml")
    with open(config, "w") as file:
        file.write(f"data_dir: {folder}/data\nstorage: {{enabled: true, {storage}}}\n")
    server = subprocess.Popen([os.path.join(arguments.bin, "argosy-storage"), "--config", config])
    try:
        output = subprocess.run(
            [os.path.join(arguments.bin, "argosy-bench"), "vectors", "--config", config,
             "--input", f"{folder}/vectors.f32", "--queries", f"{folder}/queries.f32",
             "--dimension", str(arguments.dimension), "--neighbours", str(K)],
            check=True, stdout=subprocess.PIPE).stdout
        with open(f"/proc/{server.pid}/status") as status:
            memory = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    finally:
        server.terminate()
        server.wait()
    result = json.loads(output)
    return {"fill": result["fill_s"], "memory": memory * 1024, "first": result["first_search_ms"],
            "times": result["search_ms"], "neighbours": result["neighbours"]}


def time_searches(search, queries):
    first = time.perf_counter()
    search(queries[0])
    first = (time.perf_counter() - first) * 1e3
    times, neighbours = [], []
    for query in queries:
        started = time.perf_counter()
        found = search(query)
        times.append((time.perf_counter() - started) * 1e3)
        neighbours.append([int(row) for row in found])
    return {"first": first, "times": times, "neighbours": neighbours}


def run_numpy(vectors, queries):
    def search(query):
        scores = vectors @ query
        best = numpy.argpartition(scores, -K)[-K:]
        return best[numpy.argsort(-scores[best], kind="stable")]

    return {**time_searches(search, queries), "fill": None, "memory": vectors.nbytes}


def run_sqlite_vec(vectors, queries, folder):
    # Not the sqlite3 of the standard library: many builds of it cannot load extensions.
    database = apsw.Connection(os.path.join(folder, "sqlite-vec.db"))
    database.enable_load_extension(True)
    database.load_extension(sqlite_vec.loadable_path())
    database.execute(f"CREATE VIRTUAL TABLE v USING vec0(e float[{vectors.shape[1]}] distance_metric=cosine)")
    started = time.perf_counter()
    with database:
        database.executemany("INSERT INTO v (rowid, e) VALUES (?, ?)",
                             ((row, vector.tobytes()) for row, vector in enumerate(vectors)))
    fill = time.perf_counter() - started

    def search(query):
        found = database.execute("SELECT rowid FROM v WHERE e MATCH ? AND k = ?", (query.tobytes(), K))
        return [row for row, in found]

    result = {**time_searches(search, queries), "fill": fill, "memory": None}
    database.close()
    return result


def check(name, result, vectors, queries):
    """Every list has the k best scores in order, computed in doubles, up to the rounding of floats."""
    for query, found in zip(queries, result["neighbours"]):
        scores = (vectors @ query).astype(numpy.float64)
        best = numpy.partition(scores, -2 * K)[-2 * K:]
        rows = numpy.argpartition(scores, -2 * K)[-2 * K:]
        best = numpy.sort(vectors[rows].astype(numpy.float64) @ query.astype(numpy.float64))[::-1][:K]
        mine = vectors[found].astype(numpy.float64) @ query.astype(numpy.float64)
        if len(set(found)) != K or numpy.abs(mine - best).max() > 1e-6:
            sys.exit(f"{name}: not the nearest neighbours: {mine} instead of {best}")


def print_row(name, result):
    def cell(value, unit):
        return "" if value is None else f"{value:,.1f}{unit}"

    times = sorted(result["times"])
    memory = None if result["memory"] is None else result["memory"] / 1e9
    print(f"| {name} | {cell(times[len(times) // 2], '')} | {cell(times[int(len(times) * 0.95)], '')} | "
          f"{cell(result['first'], '')} | {cell(result['fill'], '')} | {cell(memory, '')} |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--count", type=int, default=1000000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--data", choices=["random", "clustered"], default="random")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--folder", help="where the data is made; default: the folder for temporary files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="argosy-vectors-", dir=arguments.folder) as folder:
        vectors, queries = make_data(arguments, folder)
        print(f"{arguments.count:,} {arguments.data} vectors of {arguments.dimension}, exact top {K}, "
              f"{arguments.queries} searches one after the other, {os.cpu_count()} cores\n")
        print("| | p50 ms | p95 ms | first ms | fill s | memory GB |\n|---|---|---|---|---|---|")
        runs = [("argosy, SQLite", lambda: run_argosy(arguments, folder, "memory_mb: 65536")),
                (f"NumPy {numpy.__version__} (`matrix @ query`)", lambda: run_numpy(vectors, queries)),
                (f"sqlite-vec {sqlite_vec.__version__}", lambda: run_sqlite_vec(vectors, queries, folder))]
        if arguments.postgres:
            import pgserver
            server = pgserver.get_server(os.path.join(folder, "postgres"))
            address = server.get_uri().replace(":@", "@")
            runs.append(("argosy, PostgreSQL",
                         lambda: run_argosy(arguments, folder, f'vectors: "{address}"')))
        for name, run in runs:
            result = run()
            check(name, result, vectors, queries)
            print_row(name, result)
        if arguments.postgres:
            server.cleanup()


main()
