/* Power and temperature: what a recording of the idle board says, and its limits. */
#include <string.h>
#include <time.h>

#include "answer.h"
#include "call.h"

enum { THRESHOLD_GPU = 3 };

#define LIMIT(name) DEVICE_NUMBER(name, NEEDS_WORKING, g->board.power_limit_mw, g->board.power_limit_mw)

DEVICE_NUMBER(nvmlDeviceGetPowerUsage, NEEDS_WORKING, g->board.power_mw, g->board.power_mw)
LIMIT(nvmlDeviceGetPowerManagementLimit)
LIMIT(nvmlDeviceGetEnforcedPowerLimit)
LIMIT(nvmlDeviceGetPowerManagementDefaultLimit)
DEVICE_NUMBER(nvmlDeviceGetPowerManagementMode, NEEDS_WORKING, g->board.power_limit_mw, 1)

EXPORT nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned int *lowest,
                                                                 unsigned int *highest)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetPowerManagementLimitConstraints, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!lowest || !highest)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    const Board *board = &call.target.gpu->board;
    if (!board->power_min_mw)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *lowest = board->power_min_mw;
    *highest = board->power_limit_mw;
    return leave(&call, NVML_SUCCESS);
}

/* Millijoules since the machine started, at the power that the idle board draws all the time. */
EXPORT nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetTotalEnergyConsumption, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!energy)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    struct timespec up;
    clock_gettime(CLOCK_BOOTTIME, &up);
    uint64_t power_mw = call.target.gpu->board.power_mw;
    if (!power_mw)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *energy = power_mw * (uint64_t)up.tv_sec + power_mw * (uint64_t)(up.tv_nsec / 1000000) / 1000;
    return leave(&call, NVML_SUCCESS);
}

static nvmlReturn_t temperature(CallId id, nvmlDevice_t device, unsigned sensor, int *celsius)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (sensor != 0)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    *celsius = (int)call.target.gpu->board.temperature_c;
    return leave(&call, *celsius ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED);
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned int sensor, unsigned int *celsius)
{
    int value = 0;
    if (!celsius)
        sensor = ~0u;
    nvmlReturn_t error = temperature(CALL_nvmlDeviceGetTemperature, device, sensor, &value);
    if (error == NVML_SUCCESS)
        *celsius = (unsigned)value;
    return error;
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *reading)
{
    if (reading && reading->version != NVML_VERSION_WORD(nvmlTemperature_t, 1))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    int value = 0;
    nvmlReturn_t error = temperature(CALL_nvmlDeviceGetTemperatureV, device, reading ? reading->sensorType : ~0u, &value);
    if (error == NVML_SUCCESS)
        reading->temperature = value;
    return error;
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureThreshold(nvmlDevice_t device, unsigned int type, unsigned int *celsius)
{
    enum { TYPES = 8 };
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetTemperatureThreshold, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!celsius || type >= TYPES)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    unsigned value = type < THRESHOLDS ? call.target.gpu->board.threshold_c[type] : 0;
    if (!value)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *celsius = value;
    return leave(&call, NVML_SUCCESS);
}

/* How far it is to the limit. */
typedef struct {
    unsigned int version;
    int celsius;
} Margin;

DEVICE_VERSIONED(nvmlDeviceGetMarginTemperature, Margin, 1, g->board.tlimit, celsius,
                 (int)g->board.threshold_c[THRESHOLD_GPU] - (int)g->board.temperature_c)

typedef struct {
    unsigned int count;
    struct {
        int controller, lowest, highest, now, target;
    } sensor[3];
} ThermalSettings;

/* Whichever sensor is asked for: one is there, inside the GPU. */
EXPORT nvmlReturn_t nvmlDeviceGetThermalSettings(nvmlDevice_t device, unsigned int sensor, ThermalSettings *out)
{
    enum { INTERNAL = 1, OF_GPU = 1, HIGHEST = 127 };
    (void)sensor;
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetThermalSettings, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    int now = (int)call.target.gpu->board.temperature_c;
    if (!out || !now)
        return leave(&call, out ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    memset(out, 0, sizeof *out);
    out->count = 1;
    out->sensor[0].controller = INTERNAL;
    out->sensor[0].highest = HIGHEST;
    out->sensor[0].now = now;
    out->sensor[0].target = OF_GPU;
    return leave(&call, NVML_SUCCESS);
}

DEVICE_NUMBER(nvmlDeviceGetPowerSource, NEEDS_WORKING, g, 0)

/* The boards have no fans: none can be named. */
DEVICE_NUMBER(nvmlDeviceGetNumFans, NEEDS_WORKING, g, 0)
DEVICE_ALWAYS(nvmlDeviceGetFanSpeed_v2, NVML_ERROR_INVALID_ARGUMENT)
DEVICE_ALWAYS(nvmlDeviceGetFanSpeedRPM, NVML_ERROR_INVALID_ARGUMENT)
DEVICE_ALWAYS(nvmlDeviceGetTargetFanSpeed, NVML_ERROR_INVALID_ARGUMENT)
DEVICE_ALWAYS(nvmlDeviceGetMinMaxFanSpeed, NVML_ERROR_INVALID_ARGUMENT)
DEVICE_ALWAYS(nvmlDeviceGetFanControlPolicy_v2, NVML_ERROR_INVALID_ARGUMENT)
