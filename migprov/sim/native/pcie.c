/* The PCI Express link, at its full speed and with no traffic. */
#include "answer.h"
#include "call.h"

#define GENERATION(name) DEVICE_NUMBER(name, NEEDS_WORKING, g->board.pcie_generation, g->board.pcie_generation)
#define WIDTH(name) DEVICE_NUMBER(name, NEEDS_WORKING, g->board.pcie_width, g->board.pcie_width)

GENERATION(nvmlDeviceGetMaxPcieLinkGeneration)
GENERATION(nvmlDeviceGetCurrPcieLinkGeneration)
GENERATION(nvmlDeviceGetGpuMaxPcieLinkGeneration)
WIDTH(nvmlDeviceGetMaxPcieLinkWidth)
WIDTH(nvmlDeviceGetCurrPcieLinkWidth)
DEVICE_NUMBER(nvmlDeviceGetPcieReplayCounter, NEEDS_WORKING, g, 0)

/* KB/s over the last 20 ms: sent, received. */
EXPORT nvmlReturn_t nvmlDeviceGetPcieThroughput(nvmlDevice_t device, unsigned int counter, unsigned int *value)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetPcieThroughput, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!value || counter > 1)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *value = 0;
    return leave(&call, NVML_SUCCESS);
}
