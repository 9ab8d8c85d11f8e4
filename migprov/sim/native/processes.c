/* Who uses the GPUs: real processes, registered by the holder program, and NVML's lists of them. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "mig.h"

/* Recorded on an H200: with one process the GPU's use exceeds the process's own by this. */
enum { CONTEXT_OVERHEAD = 9240576 };

/* Field 22 of /proc/PID/stat; 0 when there is no such process or it is a zombie. */
uint64_t process_start_time(unsigned pid)
{
    char path[64], line[1024], state = 'Z';
    unsigned long long start = 0;
    snprintf(path, sizeof path, "/proc/%u/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';
    const char *rest = strrchr(line, ')'); /* the command before it may hold anything */
    if (!rest || sscanf(rest + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu",
                        &state, &start) != 2)
        return 0;
    return state == 'Z' || state == 'X' ? 0 : start;
}

uint64_t process_view(void)
{
    static uint64_t view;
    if (!view)
        view = process_start_time(1);
    return view;
}

/* In another pid namespace the same number is another process: there the entry is believed. */
int process_alive(const Process *process)
{
    if (process->used && process->view != process_view())
        return 1;
    return process->used && process_start_time(process->pid) == process->start_time;
}

void processes_prune(State *state, int writable)
{
    for (int i = 0; writable && i < MAX_PROCESSES; i++)
        if (state->processes[i].used && !process_alive(&state->processes[i]))
            state->processes[i].used = 0;
}

uint64_t memory_used(const State *state, int gpu, unsigned gi_id)
{
    uint64_t bytes = 0;
    for (int i = 0; i < MAX_PROCESSES; i++) {
        const Process *process = &state->processes[i];
        if (process->used && process->gpu == (unsigned)gpu && (gi_id == NVML_NO_INSTANCE || process->gi_id == gi_id) &&
            process->kind != KIND_MONITOR && process_alive(process))
            bytes += process->memory_bytes;
    }
    return bytes ? bytes + CONTEXT_OVERHEAD : 0;
}

int gpu_in_use(const State *state, int gpu, int monitors)
{
    for (int i = 0; i < MAX_PROCESSES; i++) {
        const Process *process = &state->processes[i];
        if (process->used && process->gpu == (unsigned)gpu && (monitors || process->kind != KIND_MONITOR) &&
            process_alive(process))
            return 1;
    }
    return 0;
}

static int instance_in_use(const State *state, int gpu, unsigned gi_id, unsigned ci_id)
{
    for (int i = 0; i < MAX_PROCESSES; i++) {
        const Process *process = &state->processes[i];
        if (process->used && process->gpu == (unsigned)gpu && process->gi_id == gi_id &&
            (ci_id == NVML_NO_INSTANCE || process->ci_id == ci_id) && process->kind != KIND_MONITOR &&
            process_alive(process))
            return 1;
    }
    return 0;
}

int gi_in_use(const State *state, int gpu, unsigned gi_id)
{
    return instance_in_use(state, gpu, gi_id, NVML_NO_INSTANCE);
}

int ci_in_use(const State *state, int gpu, unsigned gi_id, unsigned ci_id)
{
    return instance_in_use(state, gpu, gi_id, ci_id);
}

static int listed(const Call *call, const Process *process, uint32_t kind)
{
    const Target *target = &call->target;
    if (!process->used || process->kind != kind || process->gpu != (unsigned)target->index)
        return 0;
    if (target->ci && (process->gi_id != target->gi->id || process->ci_id != target->ci->id))
        return 0;
    return process_alive(process);
}

/* On a GPU in MIG mode the list is of all its instances, and only root sees it. */
static nvmlReturn_t may_list(const Call *call)
{
    const Target *target = &call->target;
    if (!target->ci && target->gpu->mig_current && !call->store->root)
        return NVML_ERROR_NO_PERMISSION;
    return NVML_SUCCESS;
}

static nvmlReturn_t list(CallId id, nvmlDevice_t device, uint32_t kind, unsigned int *count, void *infos, int v1)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, id, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!count)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if ((error = may_list(&call)) != NVML_SUCCESS)
        return leave(&call, error);
    processes_prune(call.state, call.store->writable);
    unsigned room = *count, found = 0;
    for (int i = 0; i < MAX_PROCESSES; i++) {
        const Process *process = &call.state->processes[i];
        if (!listed(&call, process, kind))
            continue;
        nvmlProcessInfo_v2_t row = {process->pid, process->memory_bytes, process->gi_id, process->ci_id};
        if (infos && found < room && v1)
            ((nvmlProcessInfo_v1_t *)infos)[found] = (nvmlProcessInfo_v1_t){row.pid, row.usedGpuMemory};
        else if (infos && found < room)
            ((nvmlProcessInfo_v2_t *)infos)[found] = row;
        found++;
    }
    *count = found;
    if (room && found && !infos)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    return leave(&call, found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS);
}

#define PROCESS_LIST(what, kind)                                                                             \
    EXPORT nvmlReturn_t nvmlDeviceGet##what##RunningProcesses(nvmlDevice_t device, unsigned int *count, void *infos) \
    {                                                                                                        \
        return list(CALL_nvmlDeviceGet##what##RunningProcesses, device, kind, count, infos, 1);              \
    }                                                                                                        \
    EXPORT nvmlReturn_t nvmlDeviceGet##what##RunningProcesses_v2(nvmlDevice_t device, unsigned int *count,   \
                                                                 void *infos)                                \
    {                                                                                                        \
        return list(CALL_nvmlDeviceGet##what##RunningProcesses_v2, device, kind, count, infos, 0);           \
    }                                                                                                        \
    EXPORT nvmlReturn_t nvmlDeviceGet##what##RunningProcesses_v3(nvmlDevice_t device, unsigned int *count,   \
                                                                 void *infos)                                \
    {                                                                                                        \
        return list(CALL_nvmlDeviceGet##what##RunningProcesses_v3, device, kind, count, infos, 0);           \
    }

PROCESS_LIST(Compute, KIND_COMPUTE)
PROCESS_LIST(Graphics, KIND_GRAPHICS)
PROCESS_LIST(MPSCompute, KIND_MPS)

EXPORT nvmlReturn_t nvmlDeviceGetRunningProcessDetailList(nvmlDevice_t device, nvmlProcessDetailList_t *list)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetRunningProcessDetailList, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!list || list->mode > KIND_MPS || (list->numProcArrayEntries && !list->procArray))
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (list->version != NVML_VERSION_WORD(nvmlProcessDetailList_t, 1))
        return leave(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    if ((error = may_list(&call)) != NVML_SUCCESS)
        return leave(&call, error);
    unsigned room = list->procArray ? list->numProcArrayEntries : 0, found = 0;
    for (int i = 0; i < MAX_PROCESSES; i++) {
        const Process *process = &call.state->processes[i];
        if (!listed(&call, process, list->mode))
            continue;
        if (found < room)
            list->procArray[found] = (nvmlProcessDetail_t){process->pid, process->memory_bytes, process->gi_id,
                                                           process->ci_id, 0};
        found++;
    }
    list->numProcArrayEntries = found;
    return leave(&call, found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS);
}

EXPORT nvmlReturn_t nvmlSystemGetProcessName(unsigned int pid, char *name, unsigned int length)
{
    Call call;
    nvmlReturn_t error = enter(&call, CALL_nvmlSystemGetProcessName);
    if (error != NVML_SUCCESS)
        return error;
    if (!name || !length)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    char path[64];
    snprintf(path, sizeof path, "/proc/%u/cmdline", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return leave(&call, NVML_ERROR_NOT_FOUND);
    size_t got = fread(name, 1, length - 1, file);
    fclose(file);
    name[got] = '\0'; /* the first argument ends at its own zero byte */
    return leave(&call, got ? NVML_SUCCESS : NVML_ERROR_NOT_FOUND);
}

/* What processes make of the GPU's time: nothing computes, so there are no samples; a GPU in MIG mode does not tell. */
static nvmlReturn_t leave_without_samples(Call *call)
{
    return leave(call, call->target.gpu->mig_current ? NVML_ERROR_NOT_SUPPORTED : NVML_ERROR_NOT_FOUND);
}

EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, void *samples, unsigned int *count)
{
    (void)samples;
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetProcessUtilization, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    return count ? leave_without_samples(&call) : leave(&call, NVML_ERROR_INVALID_ARGUMENT);
}

typedef struct {
    unsigned int version, count;
    unsigned long long since_us;
    void *samples;
} Samples;

EXPORT nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t device, Samples *out)
{
    Call call;
    nvmlReturn_t error = enter_device(&call, CALL_nvmlDeviceGetProcessesUtilizationInfo, device, NEEDS_WORKING);
    if (error != NVML_SUCCESS)
        return error;
    if (!out)
        return leave(&call, NVML_ERROR_INVALID_ARGUMENT);
    if (out->version != NVML_VERSION_WORD(Samples, 1))
        return leave(&call, NVML_ERROR_ARGUMENT_VERSION_MISMATCH);
    return leave_without_samples(&call);
}
