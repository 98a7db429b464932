"""The `accelerate launch` command line and its environment, as pure functions of an order."""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from imbtui.launch import LAUNCH_MARK, RESTART_MARK, RUN_MARK, Order

CONFIGURATION = Path(__file__).with_name("accelerate.yaml")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# Variables of a surrounding launch: inherited, they would make ours believe that it is a rank of that one.
_FOREIGN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_FOREIGN_PREFIXES = ("ACCELERATE_", "TORCHELASTIC_")

# Below the range that the kernel hands out by itself, so that a client's connection cannot take the port.
_PORTS = range(20_000, 32_000)


def command(order: Order, *, port: int | None = None) -> list[str]:
    """Return the command line of a launch; no shell ever sees it.

    Args:
        order: what to launch.
        port: the rendezvous port; needed when there are several processes.
    """
    line = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(CONFIGURATION)]
    line += ["--num_processes", str(order.processes), "--num_machines", "1", "--machine_rank", "0"]
    line += ["--gpu_ids", "all", "--mixed_precision", "no", "--dynamo_backend", "no"]
    line += ["--num_cpu_threads_per_process", str(order.threads)]
    if order.processes > 1:
        assert port, "several processes need a port to meet at"
        # --multi_gpu on the CPU as well: --cpu starts one process whatever --num_processes says.
        line += ["--multi_gpu", "--main_process_port", str(port)]
    return [*line, "-m", order.module, *(str(folder) for folder in order.folders)]


def environment(order: Order, inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a launch: marks, devices and threads over the inherited one."""
    env = {
        name: value
        for name, value in inherited.items()
        if name not in (*_FOREIGN, RUN_MARK, RESTART_MARK) and not name.startswith(_FOREIGN_PREFIXES)
    }
    env[LAUNCH_MARK] = order.launch
    if len(order.folders) == 1:
        env[RUN_MARK] = order.folders[0].name
    env |= dict.fromkeys(THREAD_VARIABLES, str(order.threads))
    # Indices are the driver's; CUDA counts like that only when told to.
    env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    env["CUDA_VISIBLE_DEVICES"] = ",".join(str(index) for index in order.gpus)
    if not order.gpus:
        env["ACCELERATE_USE_CPU"] = "true"
    if order.data is not None:
        env["IMBTUI_DATA"] = order.data
    env["PYTHONUNBUFFERED"] = "1"  # what a dying process printed last must have reached its log
    return env


def free_port() -> int:
    """Return a port of this machine that nobody listens at.

    Drawn at random, so that two launches that choose at the same time choose differently.

    Raises:
        OSError: none of a hundred tried was free.
    """
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError("no free port for several processes to meet at")
