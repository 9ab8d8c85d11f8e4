"""Labels, annotations and resources, ours and NVIDIA's.

Theirs as in the GPU Operator's and the device plugin's documentation and in mig-parted's k8s-mig-manager (0.15).
"""

from __future__ import annotations

CORDONED = "migprov.io/cordoned"
"""Annotation of a node that migprov cordoned; its value is the change."""
SINCE = "migprov.io/cordoned-since"
"""When (UTC, ISO 8601)."""
PAUSED = "migprov.io/paused"
"""Annotation: the labels that migprov set to PAUSE and their values before, as JSON."""

RESOURCE = "nvidia.com/"
DEPLOY = "nvidia.com/gpu.deploy."
"""Labels by which the GPU Operator's daemon sets choose their nodes."""
PAUSE = "paused-for-mig-change"
"""The value that NVIDIA's MIG manager gives them meanwhile, so that the operator leaves them."""
COMPANIONS = ("device-plugin", "gpu-feature-discovery", "dcgm-exporter", "dcgm", "nvsm", "client")
"""The components that the MIG manager pauses. What `nvsm` selects is no pod of the operator."""
DEVICE_PLUGIN = DEPLOY + "device-plugin"
MANAGER = DEPLOY + "mig-manager"
STRATEGY = "nvidia.com/mig.strategy"
CONFIG = "nvidia.com/mig.config"
CONFIG_STATE = "nvidia.com/mig.config.state"

PLUGIN_PODS = ("*nvidia-device-plugin*",)
"""Patterns for the device plugin's pod where no operator runs: of its name, of `namespace/name`, or `label=value`."""
