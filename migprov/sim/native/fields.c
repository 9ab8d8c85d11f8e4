/* Field values: many numbers by one call. Known are those whose answer follows from the state or was recorded. */
#include "answer.h"
#include "call.h"

/* Limits were recorded with type 0; their number is an int nevertheless. */
enum { TYPE_LIMIT = 0, TYPE_UINT = 1, TYPE_ULONGLONG = 3 };
enum { THRESHOLD_GPU = 3, LINKS_TO_SWITCH = 147 };

typedef struct {
    int known, type;
    uint64_t value;
} Value;

static Value number(uint64_t value)
{
    return (Value){1, TYPE_UINT, value};
}

static Value counter(uint64_t value)
{
    return (Value){1, TYPE_ULONGLONG, value};
}

/* What is 0 of a board is not known of it. */
static Value if_known(Value value)
{
    value.known = value.value != 0;
    return value;
}

static Value limit(unsigned value)
{
    return if_known((Value){1, TYPE_LIMIT, value});
}

/* Shutdown, slowdown, memory, GPU: how far above the limit, that of the GPU; for the memory its own. */
static Value above_limit(const Board *board, unsigned threshold)
{
    unsigned from = threshold == 2 ? board->threshold_c[2] : board->threshold_c[THRESHOLD_GPU];
    int above = (int)from - (int)board->threshold_c[threshold];
    return (Value){board->tlimit && board->threshold_c[threshold], TYPE_LIMIT, (uint32_t)above};
}

static Value of_mig(const Gpu *gpu, unsigned field)
{
    Value value = number(field == 184 ? gpu->resetless : 1);
    value.known = (int)gpu->mig_capable;
    return value;
}

static Value of_links(const Board *board, unsigned links, unsigned field)
{
    Value value = number(0);
    if (!links)
        return (Value){field == LINKS_TO_SWITCH, TYPE_LIMIT, 0}; /* recorded so, type and all */
    switch (field) {
    case 91: value = number(links); break;
    case LINKS_TO_SWITCH: value = number(links); break;
    case 164: value = number(board->nvlink_mbps); break;
    case 165: value = number(1); break;                    /* active */
    case 166: value = number(board->nvlink_version); break;
    case 167: break;                                       /* full power */
    default: value = counter(0);                           /* data, errors */
    }
    return value;
}

static Value look_up(const State *state, const Gpu *gpu, unsigned field)
{
    const Board *board = &gpu->board;
    int hopper = gpu->architecture >= 9;
    if ((field >= 138 && field <= 141) || (field >= 161 && field <= 167) || field == 91 || field == LINKS_TO_SWITCH)
        return of_links(board, links_of(state, gpu), field);
    if (field == 184 || field == 199)
        return of_mig(gpu, field);
    if ((field >= 3 && field <= 6) || (field >= 142 && field <= 143) || field == 145) /* errors of memory */
        return counter(0);
    if ((field >= 74 && field <= 81) || (field >= 269 && field <= 271)) /* what held the clocks down, ns */
        return (Value){hopper, TYPE_ULONGLONG, 0};
    if (field == 94 || field == 95) /* replays of PCI Express */
        return number(0);
    if ((field >= 173 && field <= 183) || field == 169 || (field >= 197 && field <= 198)) /* its errors and bytes */
        return (Value){hopper, TYPE_UINT, 0};
    if (field >= 226 && field <= 230) /* no reset wanted, no atomics, no recovery to be done */
        return (Value){hopper, TYPE_UINT, field == 226 ? gpu->requires_reset : 0};
    switch (field) {
    case 1: case 2: return counter(1); /* ECC, now and after a reset */
    case 82: return if_known(number(board->memory_temperature_c));
    case 83: case 191: return if_known(counter(energy_mj(board)));
    case 144: return (Value){(int)gpu->has_row_remapper, TYPE_ULONGLONG, gpu->remap_pending};
    case 185: return if_known(number(board->power_averaged ? board->power_mw : 0));
    case 186: return if_known(number(board->power_mw));
    case 187: return limit(board->power_min_mw);
    case 188: case 189: case 190: case 192: return limit(board->power_limit_mw);
    case 193: return above_limit(board, 0);
    case 194: return above_limit(board, 1);
    case 195: return above_limit(board, 2);
    case 196: return above_limit(board, 3);
    default: return (Value){0, 0, 0};
    }
}

enum { SCOPE_GPU = 0, SCOPE_MEMORY = 2, POWER_AVERAGE = 185, POWER_LAST = 192 };

/* Power is told of the GPU, of its memory, and of the module that both are on; of the module nothing was recorded. */
static Value scoped(const State *state, const Gpu *gpu, const nvmlFieldValue_t *field)
{
    if (field->scopeId == SCOPE_GPU || field->fieldId < POWER_AVERAGE || field->fieldId > POWER_LAST)
        return look_up(state, gpu, field->fieldId);
    int average = field->scopeId == SCOPE_MEMORY && field->fieldId == POWER_AVERAGE;
    return if_known(number(average ? gpu->board.memory_power_mw : 0));
}

/* Numbers that a driver 580 does not have at all. */
static int unheard_of(unsigned field)
{
    return field == 274 || (field >= 289 && field <= 293) || field >= 296;
}

EXPORT nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *values)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetFieldValues, device, NEEDS_GPU);
    if (error != NVML_SUCCESS)
        return error;
    if (!values || count < 1)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    for (int i = 0; i < count; i++) {
        nvmlFieldValue_t *field = &values[i];
        Value value = scoped(call.state, call.target.gpu, field);
        field->nvmlReturn = value.known ? NVML_SUCCESS : NVML_ERROR_NOT_SUPPORTED;
        if (unheard_of(field->fieldId))
            field->nvmlReturn = NVML_ERROR_INVALID_ARGUMENT;
        field->valueType = (unsigned)value.type;
        field->timestamp = field->latencyUsec = 0;
        field->value.ullVal = value.value;
    }
    return leave(&call, NVML_SUCCESS);
}
