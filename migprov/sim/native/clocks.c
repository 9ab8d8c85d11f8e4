/* Clocks: the highest and those of the idle card, as recorded; which can be had, and what holds them down. */
#include "answer.h"
#include "call.h"

enum { GRAPHICS = 0, MEMORY = 2 };
enum { ID_CURRENT = 0, ID_APPLICATION = 1, ID_DEFAULT_APPLICATION = 2, ID_CUSTOMER_BOOST = 3, ID_COUNT = 4 };
enum { REASON_IDLE = 1, REASONS_ALL = 0x1FF };

/* Above the highest that a customer may set nobody looks but for graphics and SM. */
static unsigned clock_mhz(const Board *board, unsigned type, unsigned id)
{
    if (id == ID_CURRENT)
        return board->clock_mhz[type];
    if (id == ID_CUSTOMER_BOOST)
        return type < MEMORY ? board->max_clock_mhz[type] : 0;
    return board->application_clock_mhz[type];
}

static nvmlReturn_t give_clock(Call *call, nvmlDevice_t device, CallId id, unsigned type, unsigned *mhz, int clock_id)
{
    nvmlReturn_t error = enter_device(call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (id == CALL_nvmlDeviceGetClockInfo && mhz && type >= CLOCKS)
        return leave(call, NVML_ERROR_NOT_SUPPORTED); /* recorded: only this one says so */
    if (!mhz || type >= CLOCKS || clock_id >= ID_COUNT)
        return leave(call, NVML_ERROR_INVALID_ARGUMENT);
    const Board *board = &call->target.gpu->board;
    unsigned value = clock_id < 0 ? board->max_clock_mhz[type] : clock_mhz(board, type, (unsigned)clock_id);
    if (!value)
        return leave(call, NVML_ERROR_NOT_SUPPORTED);
    *mhz = value;
    return leave(call, NVML_SUCCESS);
}

#define CLOCK(name, clock_id)                                                               \
    EXPORT nvmlReturn_t name(nvmlDevice_t device, unsigned int type, unsigned int *mhz)     \
    {                                                                                       \
        Call call;                                                                          \
        return give_clock(&call, device, CALL_##name, type, mhz, clock_id);                 \
    }

CLOCK(nvmlDeviceGetClockInfo, ID_CURRENT)
CLOCK(nvmlDeviceGetMaxClockInfo, -1)
CLOCK(nvmlDeviceGetApplicationsClock, ID_APPLICATION)
CLOCK(nvmlDeviceGetDefaultApplicationsClock, ID_DEFAULT_APPLICATION)
CLOCK(nvmlDeviceGetMaxCustomerBoostClock, ID_CUSTOMER_BOOST)

EXPORT nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, unsigned int type, unsigned int id, unsigned int *mhz)
{
    Call call;
    return give_clock(&call, device, CALL_nvmlDeviceGetClock, type, mhz, id < ID_COUNT ? (int)id : ID_COUNT);
}

/* `count` is the room, then the number there is. */
static nvmlReturn_t give_list(Call *call, unsigned *count, unsigned *list, unsigned first, unsigned number,
                              unsigned step)
{
    if (!number)
        return leave(call, NVML_ERROR_NOT_SUPPORTED);
    unsigned room = *count;
    *count = number;
    if (room < number)
        return leave(call, NVML_ERROR_INSUFFICIENT_SIZE);
    if (!list)
        return leave(call, NVML_ERROR_INVALID_ARGUMENT);
    for (unsigned i = 0; i < number; i++)
        list[i] = step ? first - i * step : call->target.gpu->board.supported_memory_mhz[i];
    return leave(call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned int *count, unsigned int *list)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetSupportedMemoryClocks, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!count)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    unsigned number = 0;
    while (number < MEMORY_CLOCKS && call.target.gpu->board.supported_memory_mhz[number])
        number++;
    return give_list(&call, count, list, 0, number, 0);
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned int memory_mhz,
                                                         unsigned int *count, unsigned int *list)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetSupportedGraphicsClocks, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!count)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    const Board *board = &call.target.gpu->board;
    int found = 0;
    for (int i = 0; i < MEMORY_CLOCKS; i++)
        found = found || (memory_mhz && board->supported_memory_mhz[i] == memory_mhz);
    if (!found)
        return leave(&call, board->supported_memory_mhz[0] ? NVML_ERROR_NOT_FOUND : NVML_ERROR_NOT_SUPPORTED);
    unsigned highest = board->max_clock_mhz[GRAPHICS], step = board->graphics_step_mhz;
    return give_list(&call, count, list, highest, (highest - board->lowest_graphics_mhz) / step + 1, step);
}

/* Nothing computes on a simulated GPU, so it idles whoever holds it. */
static nvmlReturn_t reasons(CallId id, nvmlDevice_t device, unsigned long long *mask, unsigned long long value)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (mask)
        *mask = value;
    return leave(&call, mask ? NVML_SUCCESS : NVML_ERROR_INVALID_ARGUMENT);
}

EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(nvmlDevice_t device, unsigned long long *mask)
{
    return reasons(CALL_nvmlDeviceGetCurrentClocksEventReasons, device, mask, REASON_IDLE);
}

EXPORT nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(nvmlDevice_t device, unsigned long long *mask)
{
    return reasons(CALL_nvmlDeviceGetCurrentClocksThrottleReasons, device, mask, REASON_IDLE);
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedClocksEventReasons(nvmlDevice_t device, unsigned long long *mask)
{
    return reasons(CALL_nvmlDeviceGetSupportedClocksEventReasons, device, mask, REASONS_ALL);
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedClocksThrottleReasons(nvmlDevice_t device, unsigned long long *mask)
{
    return reasons(CALL_nvmlDeviceGetSupportedClocksThrottleReasons, device, mask, REASONS_ALL);
}

DEVICE_NUMBER(nvmlDeviceGetAdaptiveClockInfoStatus, NEEDS_WORKING, g->architecture >= 9, 1)
