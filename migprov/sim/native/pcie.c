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

enum { BUS_PCIE = 2 };

/* Mbit/s of a lane, by generation. */
static unsigned mbps(unsigned generation)
{
    static const unsigned speeds[] = {0, 2500, 5000, 8000, 16000, 32000};
    return generation < sizeof speeds / sizeof *speeds ? speeds[generation] : 0;
}

DEVICE_NUMBER(nvmlDeviceGetPcieSpeed, NEEDS_WORKING, g->board.pcie_generation, mbps(g->board.pcie_generation))
GENERATION(nvmlDeviceGetPcieLinkMaxSpeed) /* in an enumeration that counts as the generations do */
DEVICE_NUMBER(nvmlDeviceGetBusType, NEEDS_WORKING, g, BUS_PCIE)
DEVICE_NUMBER(nvmlDeviceGetIrqNum, NEEDS_WORKING, g, 0)
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
