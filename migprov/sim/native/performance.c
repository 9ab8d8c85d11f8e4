/* Performance states and what belongs to them: their clocks, offsets from them, and how busy each part of the GPU is. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "answer.h"
#include "call.h"

enum { GRAPHICS = 0, SM = 1, MEMORY = 2, STATES = 16, NO_STATE = 32 };

/* The memory's clock in a state: the first state of the list, P0, has the highest. 0: no such state. */
static unsigned memory_mhz(const Board *board, unsigned state)
{
    unsigned place = 0;
    if (state >= STATES || !(board->performance_states >> state & 1))
        return 0;
    for (unsigned other = 0; other < state; other++)
        place += board->performance_states >> other & 1;
    return place < MEMORY_CLOCKS ? board->supported_memory_mhz[place] : 0;
}

EXPORT nvmlReturn_t nvmlDeviceGetSupportedPerformanceStates(nvmlDevice_t device, unsigned int *states, unsigned int size)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetSupportedPerformanceStates, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!states)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    unsigned room = size / sizeof *states, found = 0;
    if (room < STATES)
        return leave(&call, NVML_ERROR_INSUFFICIENT_SIZE);
    for (int state = STATES - 1; state >= 0; state--)
        if (call.target.gpu->board.performance_states >> state & 1)
            states[found++] = (unsigned)state;
    while (found < room)
        states[found++] = NO_STATE;
    return leave(&call, NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlDeviceGetMinMaxClockOfPState(nvmlDevice_t device, unsigned int type, unsigned int state,
                                                     unsigned int *lowest, unsigned int *highest)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetMinMaxClockOfPState, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    const Board *board = &call.target.gpu->board;
    unsigned memory = memory_mhz(board, state);
    if (!lowest || !highest || type >= CLOCKS || !memory)
        return leave(&call, lowest && highest && type < CLOCKS ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_INVALID_ARGUMENT);
    if (type != GRAPHICS && type != MEMORY)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    *lowest = type == MEMORY ? memory : board->lowest_graphics_mhz;
    *highest = type == MEMORY ? memory : board->max_clock_mhz[GRAPHICS];
    return leave(&call, NVML_SUCCESS);
}

typedef struct {
    unsigned int version;
    char text[2048];
} ClockText;

static int write_clocks(char *out, size_t size, const Board *board, unsigned graphics, unsigned memory)
{
    return snprintf(out, size,
                    "nvclock=%u, nvclockmin=%u, nvclockmax=%u, nvclockeditable=0, memclock=%u, memclockmin=%u, "
                    "memclockmax=%u, memclockeditable=0, memTransferRate=%u, memTransferRatemin=%u, "
                    "memTransferRatemax=%u, memTransferRateeditable=0",
                    graphics, board->lowest_graphics_mhz, board->max_clock_mhz[GRAPHICS], memory, memory, memory,
                    2 * memory, 2 * memory, 2 * memory);
}

static nvmlReturn_t enter_text(Call *call, CallId id, nvmlDevice_t device, const ClockText *out)
{
    nvmlReturn_t error = enter_device(call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(call, NVML_ERROR_INVALID_ARGUMENT);
    if (out->version != NVML_VERSION_WORD(ClockText, 1))
        return leave(call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    return call->target.gpu->board.supported_memory_mhz[0] ? NVML_SUCCESS : leave(call, NVML_ERROR_NOT_SUPPORTED);
}

EXPORT nvmlReturn_t nvmlDeviceGetCurrentClockFreqs(nvmlDevice_t device, ClockText *out)
{
    Call call;
    nvmlReturn_t error = enter_text(&call, CALL_nvmlDeviceGetCurrentClockFreqs, device, out);
    if (error != NVML_SUCCESS)
        return error;
    const Board *board = &call.target.gpu->board;
    write_clocks(out->text, sizeof out->text, board, board->clock_mhz[GRAPHICS], board->clock_mhz[MEMORY]);
    return leave(&call, NVML_SUCCESS);
}

/* From the slowest state to the fastest, numbered as they come. */
EXPORT nvmlReturn_t nvmlDeviceGetPerformanceModes(nvmlDevice_t device, ClockText *out)
{
    Call call;
    nvmlReturn_t error = enter_text(&call, CALL_nvmlDeviceGetPerformanceModes, device, out);
    if (error != NVML_SUCCESS)
        return error;
    const Board *board = &call.target.gpu->board;
    size_t used = 0;
    unsigned number = 0;
    for (int state = STATES - 1; state >= 0; state--) {
        unsigned memory = memory_mhz(board, (unsigned)state);
        if (!memory || sizeof out->text - used < 512)
            continue;
        used += (size_t)snprintf(out->text + used, sizeof out->text - used, "%sperf=%u, ", number ? " ; " : "", number);
        used += (size_t)write_clocks(out->text + used, sizeof out->text - used, board, board->clock_mhz[GRAPHICS], memory);
        number++;
    }
    return leave(&call, NVML_SUCCESS);
}

/* Nobody offsets a clock of these boards. */
typedef struct {
    unsigned int version, type, state;
    int offset, lowest, highest;
} ClockOffset;

EXPORT nvmlReturn_t nvmlDeviceGetClockOffsets(nvmlDevice_t device, ClockOffset *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetClockOffsets, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out || out->type >= CLOCKS)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (out->version != NVML_VERSION_WORD(ClockOffset, 1))
        return leave(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    if (!memory_mhz(&call.target.gpu->board, out->state))
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    out->offset = out->lowest = out->highest = 0;
    return leave(&call, NVML_SUCCESS);
}

DEVICE_NUMBER(nvmlDeviceGetGpcClkVfOffset, NEEDS_WORKING, g->board.supported_memory_mhz[0], 0)
DEVICE_NUMBER(nvmlDeviceGetMemClkVfOffset, NEEDS_WORKING, g->board.supported_memory_mhz[0], 0)
DEVICE_NUMBERS(nvmlDeviceGetGpcClkMinMaxVfOffset, int, NEEDS_WORKING, g->board.supported_memory_mhz[0], 0, 0)
DEVICE_NUMBERS(nvmlDeviceGetMemClkMinMaxVfOffset, int, NEEDS_WORKING, g->board.supported_memory_mhz[0], 0, 0)

enum { DOMAINS = 8, KNOWN_DOMAINS = 4 }; /* graphics, frame buffer, video, bus */

typedef struct {
    unsigned int flags;
    struct {
        unsigned int present, percent, above, below;
    } domain[DOMAINS];
} Utilizations;

EXPORT nvmlReturn_t nvmlDeviceGetDynamicPstatesInfo(nvmlDevice_t device, Utilizations *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetDynamicPstatesInfo, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (call.target.gpu->mig_current)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    memset(out, 0, sizeof *out);
    for (int i = 0; i < KNOWN_DOMAINS; i++)
        out->domain[i].present = 1;
    return leave(&call, NVML_SUCCESS);
}

typedef struct {
    unsigned long long now_us, violated_ns;
} Violation;

/* For how long a policy has held the clocks down: power, temperature, synchronisation, board, utilisation, errors. */
EXPORT nvmlReturn_t nvmlDeviceGetViolationStatus(nvmlDevice_t device, unsigned int policy, Violation *out)
{
    enum { POLICIES = 6 };
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetViolationStatus, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (policy >= POLICIES)
        return leave(&call, NVML_ERROR_NOT_SUPPORTED);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *out = (Violation){(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000, 0};
    return leave(&call, NVML_SUCCESS);
}
