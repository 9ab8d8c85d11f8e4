/* A process that holds a simulated GPU: it enters itself in the node's state, opens the node's device files, and
 * waits for its end. It detaches; the caller gets "ok PID" or a reason on standard output. */

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "abi.h"
#include "mig.h"
#include "store.h"

static const char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

static int refuse(const char *reason)
{
    printf("%s\n", reason);
    fflush(stdout);
    return 1;
}

static void open_device(const char *state_path, const char *name, int flags)
{
    char path[4200];
    const char *slash = strrchr(state_path, '/');
    int folder = slash ? (int)(slash - state_path) : 0;
    snprintf(path, sizeof path, "%.*s/dev/%s", folder, state_path, name);
    if (open(path, flags, 0444) < 0)
        perror(path);
}

/* What a client of the driver has open, recorded of a CUDA process; on an instance also the capability files of its
 * GPU and compute instance, by the minors of NVIDIA's open kernel modules. It keeps them to its end. */
static void open_devices(const char *state_path, const Target *target, unsigned kind)
{
    unsigned minor = target->gpu->minor;
    char name[64];
    open_device(state_path, "nvidiactl", O_RDWR);
    snprintf(name, sizeof name, "nvidia%u", minor);
    open_device(state_path, name, O_RDWR);
    if (kind == KIND_MONITOR)
        return;
    open_device(state_path, "nvidia-uvm", O_RDWR);
    open_device(state_path, "nvidia-caps/nvidia-cap1", O_RDONLY);
    open_device(state_path, "nvidia-caps/nvidia-cap2", O_RDONLY);
    if (!target->ci)
        return;
    unsigned gi_cap = 3 + 135 * minor + 9 * target->gi->id;
    snprintf(name, sizeof name, "nvidia-caps/nvidia-cap%u", gi_cap);
    open_device(state_path, name, O_RDONLY | O_CREAT);
    snprintf(name, sizeof name, "nvidia-caps/nvidia-cap%u", gi_cap + 1 + target->ci->id);
    open_device(state_path, name, O_RDONLY | O_CREAT);
}

/* NULL, or why this process may not have what it wants. */
static const char *find_target(State *state, unsigned kind, uint64_t bytes, Target *target)
{
    const char *mig = setting("MIGPROV_HOLD_MIG");
    int index = atoi(setting("MIGPROV_HOLD_GPU"));
    if (*mig) {
        if (!mig_by_uuid(state, mig, target))
            return "there is no such MIG device";
    } else {
        if (index < 0 || (unsigned)index >= state->gpu_count)
            return "there is no such GPU";
        *target = (Target){&state->gpus[index], index, NULL, NULL};
    }
    if (state->driver_condition != DRIVER_LOADED)
        return "the driver is not loaded";
    if (target->gpu->lost)
        return "the GPU is lost";
    if (kind == KIND_MONITOR)
        return NULL;
    if (target->gpu->requires_reset)
        return "the GPU requires a reset";
    if (target->gpu->mig_current && !target->ci)
        return "the GPU is in MIG mode: name one of its MIG devices";
    uint64_t total = target->gpu->memory_bytes - target->gpu->reserved_bytes;
    if (target->ci)
        total = target->gpu->profiles[target->gi->profile].memory_mib << 20;
    if (memory_used(state, target->index, target->ci ? target->gi->id : NVML_NO_INSTANCE) + bytes > total)
        return "out of memory: so much is not free there";
    return NULL;
}

static const char *enter_process(State *state, unsigned kind, Target *target)
{
    uint64_t bytes = strtoull(setting("MIGPROV_HOLD_BYTES"), NULL, 10);
    const char *reason = find_target(state, kind, bytes, target);
    if (reason)
        return reason;
    for (int i = 0; i < MAX_PROCESSES; i++) {
        Process *process = &state->processes[i];
        if (process->used)
            continue;
        process->pid = (uint32_t)getpid();
        process->start_time = process_start_time((unsigned)getpid());
        process->memory_bytes = bytes;
        process->gpu = (uint32_t)target->index;
        process->kind = kind;
        process->gi_id = target->ci ? target->gi->id : NVML_NO_INSTANCE;
        process->ci_id = target->ci ? target->ci->id : NVML_NO_INSTANCE;
        __atomic_store_n(&process->used, 1, __ATOMIC_RELEASE);
        return NULL;
    }
    return "the node's process table is full";
}

static int hold(const char *name)
{
    Store store;
    unsigned kind = (unsigned)atoi(setting("MIGPROV_HOLD_KIND"));
    Target target;
    if (store_open(&store, setting("MIGPROV_HOLD_STATE")) != 0)
        return refuse("this is no simulated node");
    if (!store.writable)
        return refuse("only the owner of the node may hold its GPUs");
    char short_name[16];
    snprintf(short_name, sizeof short_name, "%s", name);
    prctl(PR_SET_NAME, short_name);
    store_lock(&store);
    processes_prune(store.state, 1);
    const char *reason = enter_process(store.state, kind, &target);
    if (!reason)
        open_devices(store.path, &target, kind);
    store_unlock(&store);
    if (reason)
        return refuse(reason);
    store_close(&store);
    printf("ok %d\n", (int)getpid());
    fflush(stdout);
    int null = open("/dev/null", O_RDWR);
    dup2(null, 1);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    (void)argc;
    pid_t child = fork();
    if (child < 0)
        return refuse(strerror(errno));
    if (child > 0)
        _exit(0);
    setsid();
    return hold(basename(strdup(argv[0])));
}
