"""The scenario's Slurm cluster: `needs`, `up FOLDER` (with nodes gpu1 and gpu2), `down FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.slurm.cluster import Cluster, end, missing

# put in by the playbook that reads the file
_NODE = "NODE"
NODES = ("gpu1", "gpu2")
GPUS = 2


def up(folder: Path) -> None:
    """Start it, with a device for whatever instance there may be, and a job on gpu1 that takes a while."""
    folder.mkdir(parents=True)
    cluster = Cluster(folder, nodes=NODES, gpus=GPUS, one_line=True)
    for minor in range(1, 3 + 135 * GPUS):
        cluster.device(f"nvidia-caps/nvidia-cap{minor}", 1000 + minor)
    try:
        cluster.start()
        words = ["--output=/dev/null", "--nodelist=gpu1", "--gres=gpu:h200:1"]
        cluster.do("sbatch", *words, "--wrap", f"sleep 20; date >{folder}/the-job-ran-to-its-end")
        cluster.until(lambda: cluster.state("gpu1") == "MIXED", "the job runs")
    except BaseException:
        cluster.end()
        raise
    ctl = [str(cluster.ctl)]
    variables = {
        "slurm_folder": str(folder),
        "gpu_drain_slurm_host": "localhost",
        "gpu_drain_slurm_conf": str(cluster.conf),
        "gpu_drain_slurm_gres": "explicit",
        "gpu_drain_slurm_dev": str(cluster.dev),
        "gpu_drain_slurm_slurmctld_restart": [*ctl, "restart", "slurmctld"],
        "gpu_drain_slurm_slurmd_stop": [*ctl, "stop", _NODE],
        "gpu_drain_slurm_slurmd_start": [*ctl, "start", _NODE],
    }
    (folder / "variables.json").write_text(json.dumps(variables))


def main(arguments: list[str]) -> int:
    verb, folder = arguments[0], Path(arguments[-1]).absolute()
    if verb == "needs":
        why = missing()
        print(why or "", end="\n" if why else "")
        return 1 if why else 0
    if verb == "up":
        up(folder)
    else:
        end(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
