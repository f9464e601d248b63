#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""A sweep as tasks of HyperQueue, on this machine or, with a server's folder, on its workers.

    pip install hyperqueue
    python3 docs/sweep-hyperqueue.py SCENARIO PATH=LO..HI OUT [SHARDS [SERVER_DIR]]

Each task takes its shard from HQ_TASK_ID; tasks whose shard is complete end at once, so that the
same command goes on where it was interrupted. At last the shards are merged.
"""

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from hyperqueue import Client, Job
from hyperqueue.cluster import LocalCluster, WorkerConfig


def main() -> int:
    scenario, parameter, out = sys.argv[1:4]
    shards = int(sys.argv[4]) if len(sys.argv) > 4 else 7
    latchup = os.environ.get("LATCHUP", "latchup")
    words = [latchup, "sweep", scenario, "--param", parameter, "--out", out, "--jobs", "1"]

    job = Job(default_workdir=os.getcwd())
    for _ in range(shards):
        job.program([*words, "--shard", f"array/{shards}"], stdout=None, stderr=None)

    with contextlib.ExitStack() as stack:
        if len(sys.argv) > 5:
            client = Client(Path(sys.argv[5]))
        else:
            client = stack.enter_context(LocalCluster(worker_config=WorkerConfig())).client()
        client.wait_for_jobs([client.submit(job)])
    return subprocess.run([latchup, "merge", out], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
