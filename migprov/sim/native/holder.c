/* A process that holds simulated GPUs: it enters itself in the node's state, opens the node's device files, and
 * waits for its end. It detaches; the caller gets "ok PID" or a reason on standard output. */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
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

/* Our pid as /proc shows it: in a pid namespace that kept its parent's /proc, that is the parent's number for us. */
static unsigned own_pid(void)
{
    char text[32];
    ssize_t length = readlink("/proc/self", text, sizeof text - 1);
    if (length <= 0)
        return (unsigned)getpid();
    text[length] = '\0';
    return (unsigned)strtoul(text, NULL, 10);
}

static void node_path(char *path, size_t size, const char *state_path, const char *name)
{
    const char *slash = strrchr(state_path, '/');
    snprintf(path, size, "%.*s/%s", slash ? (int)(slash - state_path) : 0, state_path, name);
}

static void open_device(const char *state_path, const char *name, int flags)
{
    char device[80], path[4200];
    snprintf(device, sizeof device, "dev/%s", name);
    node_path(path, sizeof path, state_path, device);
    if (open(path, flags, 0444) < 0)
        perror(path);
}

/* What a client of the driver has open, recorded of a CUDA process; on an instance also the capability files of its
 * GPU and compute instance, by the minors of NVIDIA's open kernel modules. It keeps them to its end. */
static void open_devices(const char *state_path, const Target *target, unsigned kind)
{
    unsigned minor = target->gpu->minor;
    char name[64];
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
static const char *find_target(State *state, int index, unsigned kind, uint64_t bytes, Target *target)
{
    const char *mig = setting("MIGPROV_HOLD_MIG");
    if (*mig) {
        if (!mig_by_uuid(state, mig, target))
            return "there is no such MIG device";
    } else {
        if (index < 0 || (unsigned)index >= state->gpu_count)
            return "there is no such GPU";
        *target = (Target){&state->gpus[index], index, NULL, NULL};
    }
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
    uint64_t used = memory_used(state, target->index, target->ci ? target->gi->id : NVML_NO_INSTANCE);
    if (used > total || bytes > total - used)
        return "out of memory: so much is not free there";
    return NULL;
}

/* One row of the node's table; without a target it only makes the process known to whoever ends the node. */
static const char *enter_row(State *state, unsigned kind, uint64_t bytes, const Target *target)
{
    for (int i = 0; i < MAX_PROCESSES; i++) {
        Process *process = &state->processes[i];
        if (process->used)
            continue;
        process->pid = own_pid();
        process->start_time = process_start_time(process->pid);
        process->view = process_view();
        process->memory_bytes = bytes;
        process->gpu = target ? (uint32_t)target->index : NVML_NO_INSTANCE;
        process->kind = kind;
        process->gi_id = target && target->ci ? target->gi->id : NVML_NO_INSTANCE;
        process->ci_id = target && target->ci ? target->ci->id : NVML_NO_INSTANCE;
        __atomic_store_n(&process->used, 1, __ATOMIC_RELEASE);
        return NULL;
    }
    return "the node's process table is full";
}

/* All the GPUs of MIGPROV_HOLD_GPU ("0,2", or nothing: an agent that has the driver open and no GPU), or none. */
static const char *enter_process(State *state, const char *state_path, unsigned kind)
{
    uint64_t bytes = strtoull(setting("MIGPROV_HOLD_BYTES"), NULL, 10);
    Target targets[MAX_GPUS] = {{0}};
    int count = 0;
    if (state->driver_condition != DRIVER_LOADED)
        return "the driver is not loaded";
    char *gpus = strdup(setting("MIGPROV_HOLD_GPU")), *rest = NULL;
    for (char *part = strtok_r(gpus, ",", &rest); part && count < MAX_GPUS; part = strtok_r(NULL, ",", &rest)) {
        const char *reason = find_target(state, atoi(part), kind, bytes, &targets[count++]);
        if (reason)
            return reason;
    }
    open_device(state_path, "nvidiactl", O_RDWR);
    const char *reason = count ? NULL : enter_row(state, kind, 0, NULL);
    for (int i = 0; i < count && !reason; i++) {
        reason = enter_row(state, kind, bytes, &targets[i]);
        open_devices(state_path, &targets[i], kind);
    }
    return reason;
}

/* Where the node's processes have their /proc/PID/cgroup: a file named by pid and start time. */
static void enter_cgroup(const char *state_path)
{
    const char *text = setting("MIGPROV_HOLD_CGROUP");
    char name[80], path[4200];
    if (!*text)
        return;
    snprintf(name, sizeof name, "cgroup/%u.%llu", own_pid(), (unsigned long long)process_start_time(own_pid()));
    node_path(path, sizeof path, state_path, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || write(file, text, strlen(text)) < 0 || write(file, "\n", 1) < 0)
        perror(path);
    close(file);
}

/* Another user's process, as a login or a container would have made it. */
static const char *become_user(void)
{
    const char *uid = setting("MIGPROV_HOLD_UID");
    if (!*uid)
        return NULL;
    uid_t id = (uid_t)strtoul(uid, NULL, 10);
    return setgroups(0, NULL) || setgid((gid_t)id) || setuid(id) ? "only root starts processes of other users" : NULL;
}

static int hold(const char *name)
{
    Store store;
    unsigned kind = (unsigned)atoi(setting("MIGPROV_HOLD_KIND"));
    umask(022);
    if (store_open(&store, setting("MIGPROV_HOLD_STATE")) != 0)
        return refuse("this is no simulated node");
    if (!store.writable)
        return refuse("only the owner of the node may hold its GPUs");
    char short_name[16];
    snprintf(short_name, sizeof short_name, "%s", name);
    prctl(PR_SET_NAME, short_name);
    if (strcmp(setting("MIGPROV_HOLD_SIGTERM"), "ignore") == 0)
        signal(SIGTERM, SIG_IGN);
    enter_cgroup(store.path);
    store_lock(&store);
    processes_prune(store.state, 1);
    const char *reason = enter_process(store.state, store.path, kind);
    store_unlock(&store);
    if (!reason)
        reason = become_user();
    if (reason)
        return refuse(reason);
    store_close(&store);
    printf("ok %u\n", own_pid());
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
