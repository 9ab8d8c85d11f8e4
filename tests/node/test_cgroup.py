"""Units and containers from the cgroup texts that systemd, Docker, containerd, CRI-O, Podman and Kubernetes make."""

import pytest

from migprov.node.cgroup import place

ID = "3f4e" * 16


@pytest.mark.parametrize(
    ("text", "unit", "container"),
    [
        ("0::/", None, None),
        ("", None, None),
        ("0::/system.slice/nvidia-dcgm.service", "nvidia-dcgm.service", None),
        ("0::/user.slice/user-1000.slice/session-4.scope", "session-4.scope", None),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/train.service", "train.service", None),
        (f"0::/system.slice/docker-{ID}.scope", None, ID),
        (f"0::/docker/{ID}", None, ID),
        (f"0::/machine.slice/libpod-{ID}.scope/container", None, ID),
        (
            f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope",
            None,
            ID,
        ),
        (f"0::/kubepods/besteffort/pod7c9/{ID}", None, ID),
        (f"0::/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope", None, ID),
        (
            f"0::/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}",
            "containerd.service",
            ID,
        ),
        (f"12:devices:/docker/{ID}\n11:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}\n", None, ID),
        (
            "12:devices:/\n1:name=systemd:/system.slice/nvidia-persistenced.service\n",
            "nvidia-persistenced.service",
            None,
        ),
        ("garbage", None, None),
    ],
)
def test_where_a_process_belongs(text, unit, container):
    assert place(text) == (unit, container)
