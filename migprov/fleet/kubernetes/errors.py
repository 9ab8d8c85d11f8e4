"""What can go wrong with a cluster. Every message says what was and was not changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...errors import BadRequest, NodeError

if TYPE_CHECKING:
    from .plan import Asks


class ClientMissing(BadRequest):
    """The official client is not installed."""

    code = "kubernetes_client"


class NoCluster(BadRequest):
    """There is no usable kubeconfig, and this does not run inside a cluster."""

    code = "kubernetes_config"


class ClusterError(NodeError):
    """Something is wrong with one node of a cluster, or with the cluster while it was asked about a node."""

    code = "kubernetes"

    def tell(self, host: str, words: str = "") -> None:
        """Name the node, where it is not named yet, and add what became of it."""
        if host and not self.host:
            self.host, self.message = host, f"{host}: {self.message}"
        if words:
            self.message = f"{self.message.rstrip('.')}. {words}"


class ApiFailed(ClusterError):
    """The API server answered with an error that has no class of its own. `status` is that of HTTP, 0 for none."""

    code = "kubernetes_api"

    def __init__(self, message: str, *, host: str = "", next: str | None = None, status: int = 0) -> None:
        super().__init__(message, host=host, next=next)
        self.status = status


class ApiUnreachable(ApiFailed):
    """The API server does not answer."""

    code = "kubernetes_unreachable"


class Denied(ApiFailed):
    """The API server does not let us (401 or 403)."""

    code = "kubernetes_denied"


class Conflict(ApiFailed):
    """The object was changed by somebody else since it was read (409)."""

    code = "kubernetes_conflict"


class NodeUnknown(ClusterError):
    """The cluster has no node of this name."""

    code = "kubernetes_node"


class NeedsLeave(ClusterError):
    """Pods would lose something for good if they went. `asks` are they. No pod was evicted."""

    code = "kubernetes_needs_leave"

    def __init__(self, message: str, asks: Sequence[Asks], *, host: str, next: str | None = None) -> None:
        super().__init__(message, host=host, next=next)
        self.asks = tuple(asks)


class BudgetForbids(ClusterError):
    """A disruption budget did not let pods go before the deadline. `budgets` are namespace/name."""

    code = "kubernetes_budget"

    def __init__(self, message: str, budgets: Sequence[str], *, host: str, next: str | None = None) -> None:
        super().__init__(message, host=host, next=next)
        self.budgets = tuple(budgets)

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "budgets": list(self.budgets)}


class PodsStay(ClusterError):
    """Pods were still there at the deadline. `pods` are namespace/name."""

    code = "kubernetes_pods_stay"

    def __init__(self, message: str, pods: Sequence[str], *, host: str, next: str | None = None) -> None:
        super().__init__(message, host=host, next=next)
        self.pods = tuple(pods)

    def to_json(self) -> dict[str, Any]:
        return {**super().to_json(), "pods": list(self.pods)}


class ResourcesMissing(ClusterError):
    """The node does not offer the resources that its GPUs amount to."""

    code = "kubernetes_resources"


class ManagerFailed(ClusterError):
    """NVIDIA's MIG manager did not bring the layout, or cannot be given it."""

    code = "kubernetes_mig_manager"
