#!/usr/bin/python
"""What an ordinary module costs: it reads the GPUs through NVML and gives back their names. For benchmarks alone."""

from __future__ import annotations

import ctypes

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    library = ctypes.CDLL("libnvidia-ml.so.1")
    if library.nvmlInit_v2():
        module.fail_json(msg="NVML cannot be initialized")
    count = ctypes.c_uint()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    gpus = []
    for index in range(count.value):
        device, current, pending = ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint()
        name = ctypes.create_string_buffer(96)
        library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device))
        library.nvmlDeviceGetName(device, name, 96)
        library.nvmlDeviceGetMigMode(device, ctypes.byref(current), ctypes.byref(pending))
        gpus.append({"index": index, "name": name.value.decode(), "mig": bool(current.value)})
    library.nvmlShutdown()
    module.exit_json(changed=False, gpus=gpus)


if __name__ == "__main__":
    main()
