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

DEVICE_NUMBERS(nvmlDeviceGetPowerManagementLimitConstraints, unsigned int, NEEDS_WORKING, g->board.power_min_mw,
               g->board.power_min_mw, g->board.power_limit_mw)

/* Since the machine started, at the power that the idle board draws all the time. */
uint64_t energy_mj(const Board *board)
{
    struct timespec up;
    clock_gettime(CLOCK_BOOTTIME, &up);
    return board->power_mw * (uint64_t)up.tv_sec + board->power_mw * (uint64_t)(up.tv_nsec / 1000000) / 1000;
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetTotalEnergyConsumption, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!energy)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (!call.target.gpu->board.power_mw)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *energy = energy_mj(&call.target.gpu->board);
    return leave(&call, NVML_SUCCESS);
}

static nvmlReturn_t leave_with_temperature(Call *call, unsigned sensor, int *celsius)
{
    int value = (int)call->target.gpu->board.temperature_c;
    if (sensor != 0 || !celsius)
        return leave(call, NVML_ERROR_INVALID_ARGUMENT);
    if (!value)
        return leave(call, NVML_ERROR_NOT_SUPPORTED);
    *celsius = value;
    return leave(call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned int sensor, unsigned int *celsius)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetTemperature, device, NEEDS_WORKING);
    return error == NVML_SUCCESS ? leave_with_temperature(&call, sensor, (int *)celsius) : error;
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *reading)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetTemperatureV, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!reading)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (reading->version != NVML_VERSION_WORD(nvmlTemperature_t, 1))
        return leave(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    return leave_with_temperature(&call, reading->sensorType, &reading->temperature);
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
