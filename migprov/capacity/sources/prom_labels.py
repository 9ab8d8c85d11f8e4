"""What the labels of dcgm-exporter's series say: the host, the workload. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..usage import Labels

HOSTS = ("Hostname", "hostname")
"""The exporter's label for its host; its newer source writes it small."""
_PLAIN = ("namespace", "pod", "container")
_EXPORTED = tuple(f"exported_{name}" for name in _PLAIN)
JOBS = ("hpc_job", "exported_hpc_job")
WORKLOAD = (*_PLAIN, *_EXPORTED, *JOBS)
"""The labels by which workloads are told apart, whichever of them a fleet has."""
_EXPORTER = "dcgm-exporter"


def host_of(labels: Mapping[str, str], own: str | None) -> str:
    """The host: the label that the user named, else the exporter's, else what was scraped, without the port."""
    for name in (own, *HOSTS) if own else HOSTS:
        if labels.get(name):
            return labels[name]
    return labels.get("instance", "").rpartition(":")[0] or labels.get("instance", "") or "unknown"


def workload_of(labels: Mapping[str, str], exported: bool) -> Labels | None:
    """The workload that a series is about; None where there is none.

    Scraped without honor_labels, the workload's labels are called `exported_...`, and the plain ones are then those
    of the exporter's own pod. `exported`: whether any series of the fleet has them; without any, a pod that is the
    exporter is still none of the card's.
    """
    job = next((labels[name] for name in JOBS if labels.get(name)), None)
    names = _EXPORTED if exported else _PLAIN
    namespace, pod, container = (labels.get(name) or None for name in names)
    if pod is None or _is_exporter(labels, pod, container):
        return Labels(job=job) if job else None
    return Labels(namespace=namespace, pod=pod, container=container, job=job)


def _is_exporter(labels: Mapping[str, str], pod: str, container: str | None) -> bool:
    return _EXPORTER in pod or _EXPORTER in (container or "") or pod in [labels.get(name) for name in HOSTS]


def are_exported(series: Iterable[Mapping[str, str]]) -> bool:
    """Whether any series carries its workload in `exported_...` labels."""
    return any(labels.get("exported_pod") for labels in series)
