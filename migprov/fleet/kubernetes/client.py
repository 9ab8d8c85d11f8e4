"""The cluster's API through the official client, as plain data.

Answers stay JSON: the client's typed models refuse what other versions of the API leave out.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import ApiFailed, ApiUnreachable, ClientMissing, Conflict, Denied, NoCluster

Json = dict[str, Any]

TIMEOUT_S = (10.0, 60.0)
"""For one request: to connect, and to answer."""
READ_AGAIN_S = (0.5, 1.0, 2.0, 4.0)
"""A read that failed for a reason that passes (a server that restarts, an election in etcd) is repeated after these."""
PAGE = 500
PASSING = frozenset({0, 429, 500, 502, 503, 504})
"""HTTP status (0: no answer) after which a read is worth repeating."""


def _library(name: str) -> Any:
    """A module of the official client. Raises ClientMissing."""
    try:
        return importlib.import_module(f"kubernetes.{name}")
    except ImportError as error:
        raise ClientMissing(
            f"the official Kubernetes client cannot be imported ({error}). Nothing was contacted or changed",
            next="install it beside migprov: pip install 'migprov[kubernetes]'.",
        ) from None


def connect(kubeconfig: str | None = None, context: str | None = None, *, folder: str | None = None) -> Api:
    """The cluster of a kubeconfig (default: `KUBECONFIG`, then `~/.kube/config`), or else the one this runs in.

    `context`: one of the kubeconfig's, default its current one. `folder`: where the client keeps the keys of the
    kubeconfig as files (default: the system's folder for temporary files, until this process ends).

    Contacts nothing yet. Raises ClientMissing and NoCluster.
    """
    library, config = _library("client"), _library("config")
    known = kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    paths = [str(Path(part).expanduser()) for part in known.split(os.pathsep) if part]
    configuration = library.Configuration()
    try:
        if any(Path(path).is_file() for path in paths):
            config.load_kube_config(
                os.pathsep.join(paths), context, client_configuration=configuration, temp_file_path=folder
            )
        elif kubeconfig or context or "KUBERNETES_SERVICE_HOST" not in os.environ:
            raise NoCluster(
                f"there is no kubeconfig {known}. Nothing was contacted or changed",
                next="name one (kubeconfig, or KUBECONFIG in the environment).",
            )
        else:
            config.load_incluster_config(client_configuration=configuration)
    # Whatever the client and the YAML reader make of a file that is none.
    except NoCluster:
        raise
    except Exception as error:
        raise NoCluster(
            f"the kubeconfig {known} cannot be used: {error}. Nothing was contacted or changed",
            next="check the file and the context.",
        ) from None
    return Api(library.ApiClient(configuration))


class Api:
    """The few calls that are needed. All raise ApiFailed or one of its kinds."""

    def __init__(self, client: Any) -> None:
        library = _library("client")
        self._client = client
        self._core = library.CoreV1Api(client)
        self._custom = library.CustomObjectsApi(client)
        self._policy = library.PolicyApi(client)
        self._access = library.AuthorizationV1Api(client)
        self._failure = _library("client.exceptions").ApiException
        self._discovered: dict[str, str] = {}

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self._client.configuration.host)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    # --- nodes ----------------------------------------------------------------------------------------------

    def nodes(self) -> Iterator[Json]:
        """All nodes, page by page."""
        following = None
        while True:
            page = self._read("list nodes", self._core.list_node, limit=PAGE, _continue=following)
            yield from page["items"]
            following = page["metadata"].get("continue")
            if not following:
                return

    def node(self, name: str) -> Json | None:
        """The node, or None."""
        return self._read_one(f"get the node {name}", self._core.read_node, name)

    def patch_node(self, name: str, patch: Json) -> Json:
        """A strategic merge; with `metadata.resourceVersion` in it only if nobody has changed the node since."""
        return self._call(f"patch the node {name}", self._core.patch_node, name, patch, field_manager="migprov")

    # --- pods -----------------------------------------------------------------------------------------------

    def pods(self, node: str) -> list[Json]:
        """All pods that are bound to the node."""
        selector = f"spec.nodeName={node}"
        answer = self._read("list pods", self._core.list_pod_for_all_namespaces, field_selector=selector)
        return list(answer["items"])

    def pod(self, namespace: str, name: str) -> Json | None:
        """The pod, or None."""
        what = f"get the pod {namespace}/{name}"
        return self._read_one(what, self._core.read_namespaced_pod, name, namespace)

    def evict(self, namespace: str, name: str, uid: str, *, dry_run: bool = False) -> None:
        """Ask for the eviction of exactly this pod. `dry_run`: only ask whether it would be let go.

        Raises Conflict when another pod has taken the name.
        """
        body = {
            "apiVersion": self._eviction_version(),
            "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": name},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }
        options = {"dry_run": "All"} if dry_run else {}
        evict = self._core.create_namespaced_pod_eviction
        self._call(f"evict the pod {namespace}/{name}", evict, name, namespace, body, **options)

    def budgets(self, namespace: str) -> list[Json]:
        """The disruption budgets of a namespace."""
        version = self._budget_version()
        read, plural = self._custom.list_namespaced_custom_object, "poddisruptionbudgets"
        answer = self._read("list disruption budgets", read, "policy", version, namespace, plural)
        return list(answer["items"])

    def budgets_are_v1(self) -> bool:
        """Whether an empty selector of a budget means all pods (policy/v1) or none (v1beta1)."""
        return self._budget_version() == "v1"

    # --- what the MIG manager reads -----------------------------------------------------------------------------

    def config_map(self, namespace: str, name: str) -> Json | None:
        """The config map, or None."""
        what = f"get the config map {namespace}/{name}"
        return self._read_one(what, self._core.read_namespaced_config_map, name, namespace)

    def patch_config_map(self, namespace: str, name: str, patch: Json) -> Json:
        """As patch_node."""
        call = self._core.patch_namespaced_config_map
        return self._call(
            f"patch the config map {namespace}/{name}", call, name, namespace, patch, field_manager="migprov"
        )

    # --- rights -------------------------------------------------------------------------------------------------

    def allowed(self, verb: str, resource: str, *, group: str = "", namespace: str = "") -> bool:
        """Whether we may do this (SelfSubjectAccessReview, which every authenticated user may ask for)."""
        resource, _, subresource = resource.partition("/")
        asked = {
            "verb": verb,
            "resource": resource,
            "subresource": subresource,
            "group": group,
            "namespace": namespace,
        }
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        body |= {"spec": {"resourceAttributes": asked}}  # type: ignore[dict-item]
        answer = self._read("ask for our rights", self._access.create_self_subject_access_review, body)
        return bool(answer["status"].get("allowed"))

    # --- discovery ------------------------------------------------------------------------------------------------

    def _eviction_version(self) -> str:
        """`policy/v1` where the server takes it, else `policy/v1beta1` (before Kubernetes 1.22)."""
        if "eviction" not in self._discovered:
            served = self._read("read the API's resources", self._core.get_api_resources)["resources"]
            found = next((one for one in served if one["name"] == "pods/eviction"), None)
            if found is None:
                raise ApiFailed("the cluster has no eviction API (pods/eviction). Nothing was changed")
            self._discovered["eviction"] = f"{found.get('group', 'policy')}/{found.get('version', 'v1')}"
        return self._discovered["eviction"]

    def _budget_version(self) -> str:
        if "budget" not in self._discovered:
            served = self._read("read the API's groups", self._policy.get_api_group)["versions"]
            versions = [one["version"] for one in served]
            self._discovered["budget"] = "v1" if "v1" in versions else versions[0]
        return self._discovered["budget"]

    # --- calling ----------------------------------------------------------------------------------------------------

    def _read_one(self, what: str, call: Callable[..., Any], *arguments: Any) -> Json | None:
        try:
            return self._read(what, call, *arguments)
        except ApiFailed as error:
            if error.status == 404:
                return None
            raise

    def _read(self, what: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Json:
        for pause in (*READ_AGAIN_S, None):
            try:
                return self._call(what, call, *arguments, **options)
            except ApiFailed as error:
                if pause is None or error.status not in PASSING:
                    raise
                time.sleep(pause)
        raise AssertionError("not reached")

    def _call(self, what: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Json:
        from urllib3.exceptions import HTTPError

        given = {key: value for key, value in options.items() if value is not None}
        try:
            answer = call(*arguments, **given, _preload_content=False, _request_timeout=TIMEOUT_S)
            data: Json = json.loads(answer.data)
        except self._failure as error:
            raise self._understood(what, error) from None
        except (HTTPError, OSError) as error:
            raise ApiUnreachable(
                f"could not {what}: the API server {self.server} does not answer: {error}",
                next="check the address in the kubeconfig, the network and the API server.",
            ) from None
        except ValueError as error:
            raise ApiFailed(f"could not {what}: the answer of {self.server} is not JSON: {error}", status=200) from None
        return data

    def _understood(self, what: str, failure: Any) -> ApiFailed:
        status, said = int(failure.status or 0), _message(failure)
        message = f"could not {what}: {said or failure.reason}"
        if status in (401, 403):
            return Denied(message, status=status, next="give the account the rights that docs/kubernetes.md lists.")
        if status == 409:
            return Conflict(message, status=status)
        if status == 429:
            return Later(message, status=status, after_s=_retry_after(failure), budgets=_budget_words(failure))
        return ApiFailed(message, status=status)


class Later(ApiFailed):
    """The server asks to come again (429). `after_s`: when, if it says. `budgets`: a disruption budget's words.

    An empty `budgets` means that the server itself has too much to do.
    """

    def __init__(self, message: str, *, status: int, after_s: float | None, budgets: tuple[str, ...]) -> None:
        super().__init__(message, status=status)
        self.after_s = after_s
        self.budgets = budgets


def _body(failure: Any) -> Mapping[str, Any]:
    try:
        body = json.loads(failure.body)
    except (TypeError, ValueError):
        return {}
    return body if isinstance(body, dict) else {}


def _message(failure: Any) -> str:
    return str(_body(failure).get("message") or "")


def _budget_words(failure: Any) -> tuple[str, ...]:
    causes = (_body(failure).get("details") or {}).get("causes") or []
    return tuple(str(one.get("message") or "") for one in causes if one.get("reason") == "DisruptionBudget")


def _retry_after(failure: Any) -> float | None:
    try:
        return max(0.0, float(str((failure.headers or {}).get("Retry-After"))))
    except ValueError:
        return None
