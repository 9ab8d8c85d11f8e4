"""The effect of a step is asserted by reading again: a driver that reports success without it is not believed.

No simulated driver lies so, which is why one is made up of answers here.
"""

from __future__ import annotations

from typing import Any

import pytest

from migprov.mig import steps
from migprov.mig.errors import GpuBusy
from migprov.mig.steps import Step
from migprov.node import act
from migprov.node.errors import EffectMissing, ModeNotEffective
from migprov.node.nvml_data import Ci, Gi, GiProfile

HALF = GiProfile("3g.40gb", 9, 3, 40192, 42, 2, (0, 4), 4)
NEW, OTHER = Gi(2, 9, 0, 4), Gi(1, 9, 4, 4)
CI, NEXT = Ci(0, 0, 0, 1), Ci(1, 0, 1, 1)
CREATE = Step(steps.CREATE_GPU_INSTANCE, 0, "GPU-x", profile="3g.40gb", profile_id=9, start=0, size=4)
DESTROY = CREATE._replace(action=steps.DESTROY_GPU_INSTANCE, gi_id=2)
CREATE_CI = Step(steps.CREATE_COMPUTE_INSTANCE, 0, "GPU-x", gi_start=0, ci_profile="1c.3g.40gb", ci_start=0)
DESTROY_CI = Step(steps.DESTROY_COMPUTE_INSTANCE, 0, "GPU-x", gi_id=2, gi_start=0, ci_id=0, ci_profile="1c.3g.40gb")
MODE = Step(steps.SET_MIG_MODE, 0, "GPU-x", enabled=True)


class Driver:
    """Answers each call with what it was given for it, whatever it is asked."""

    def __init__(self, **answers: Any) -> None:
        self._answers = {"profiles": [HALF], "destroy_gpu_instance": None, "destroy_compute_instance": None, **answers}

    def __getattr__(self, call: str) -> Any:
        return lambda *asked: self._answers[call]


@pytest.mark.parametrize(
    ("step", "answers", "error"),
    [
        (CREATE, {"create_gpu_instance": NEW, "gpu_instances": [NEW, OTHER]}, None),
        (CREATE, {"create_gpu_instance": NEW, "gpu_instances": [OTHER]}, EffectMissing),
        (CREATE, {"create_gpu_instance": OTHER, "gpu_instances": [OTHER]}, EffectMissing),  # elsewhere
        (DESTROY, {"gpu_instances": [OTHER]}, None),
        (DESTROY, {"gpu_instances": [NEW, OTHER]}, EffectMissing),
        (CREATE_CI, {"create_compute_instance": CI, "gpu_instances": [NEW], "compute_instances": [CI]}, None),
        (CREATE_CI, {"create_compute_instance": CI, "gpu_instances": [NEW], "compute_instances": []}, EffectMissing),
        (CREATE_CI, {"create_compute_instance": NEXT, "gpu_instances": [NEW], "compute_instances": [NEXT]},
         EffectMissing),
        (CREATE_CI, {"gpu_instances": [OTHER]}, EffectMissing),  # nothing to put it into
        (DESTROY_CI, {"compute_instances": [NEXT]}, None),
        (DESTROY_CI, {"compute_instances": [CI, NEXT]}, EffectMissing),
        (MODE, {"set_mig_mode": 0, "mig_mode": (True, True)}, None),
        (MODE, {"set_mig_mode": 0, "mig_mode": (False, False)}, ModeNotEffective),
        (MODE, {"set_mig_mode": 19, "mig_mode": (False, True)}, GpuBusy),
    ],
)  # fmt: skip
def test_only_what_is_there_afterwards_counts(step, answers, error):
    driver: Any = Driver(**answers)
    if error is None:
        act.perform(driver, step)
    else:
        with pytest.raises(error, match=r"^GPU 0 \(GPU-x\): ") as raised:
            act.perform(driver, step)
        assert raised.value.gpu == 0
