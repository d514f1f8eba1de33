"""What a benchmark ran on."""

import platform
from pathlib import Path

from bench._procs import Cores

CONGESTION_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")


def machine(cores: Cores) -> dict[str, str]:
    """Describe the machine, and which of its CPUs were used for what."""
    return {
        "cpu": _cpu_model(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "congestion_control": CONGESTION_CONTROL.read_text().strip(),
        "server_cpu": str(cores.server),
        "load_cpu": str(cores.load),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()
