"""What the account must be allowed to do. docs/kubernetes.md has the same as manifests."""

from __future__ import annotations

from .client import Api

NEEDED = (
    ("", "nodes", ("get", "list", "patch")),
    ("", "pods", ("get", "list")),
    ("", "pods/eviction", ("create",)),
    ("policy", "poddisruptionbudgets", ("list",)),
)
"""In the whole cluster: API group, resource, verbs."""
MANAGER = (("", "configmaps", ("get", "patch")),)
"""In the namespace of NVIDIA's MIG manager, where it runs."""


def missing(api: Api, *, manager_namespace: str | None = None) -> list[str]:
    """What the account may not do, as `verb resource`; empty when it may do all. Raises ApiFailed."""
    wanted = [(group, resource, verb, "") for group, resource, verbs in NEEDED for verb in verbs]
    if manager_namespace is not None:
        wanted += [(group, resource, verb, manager_namespace) for group, resource, verbs in MANAGER for verb in verbs]
    return [
        f"{verb} {resource}" + (f" in {namespace}" if namespace else "")
        for group, resource, verb, namespace in wanted
        if not api.allowed(verb, resource, group=group, namespace=namespace)
    ]
